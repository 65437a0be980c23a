"""The refusals of Airtable's Web API: status, type, words and the several shapes of their bodies."""

import orjson
from starlette.responses import Response

from sandbox.store import Json

HTML = b"<html><head><title>%d</title></head><body><h1>%d</h1></body></html>"


class Refusal(Exception):
    """An answer that is an error. `shape`: object, type (no message), text, list or html."""

    def __init__(
        self,
        status: int,
        kind: str = "",
        message: str = "",
        shape: str = "object",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.shape = status, kind, message, shape
        self.headers = headers

    def answer(self) -> Response:
        if self.shape == "html":
            page = HTML % (self.status, self.status)
            return Response(page, self.status, self.headers, media_type="text/html")
        error: Json = {"type": self.kind}
        if self.message and self.shape != "type":
            error["message"] = self.message
        body: Json = {"error": error}
        if self.shape == "text":
            body = {"error": self.kind}
        elif self.shape == "list":
            body = {"errors": [{"error": self.kind, "message": self.message}]}
        return Response(orjson.dumps(body), self.status, self.headers, media_type="application/json")


def no_route() -> Refusal:
    return Refusal(404, "NOT_FOUND", shape="text")


def not_yours() -> Refusal:
    return Refusal(
        403,
        "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
        "Invalid permissions, or the requested model was not found. Check that both your user and your token "
        "have the required permissions, and that the model names and/or ids are correct.",
    )


def wrong_parameter() -> Refusal:
    return Refusal(
        422,
        "INVALID_REQUEST_UNKNOWN",
        "Invalid request: parameter validation failed. Check your request data.",
    )


def lost_iterator(*, says_why: bool) -> Refusal:
    kind, why = "LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "The iterator is not available. Start again."
    return Refusal(422, kind, why, "object" if says_why else "type")


def unknown_field(name: str) -> Refusal:
    return Refusal(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}"')


def bad_formula(why: str) -> Refusal:
    begin = "The formula for filtering records is invalid:"
    return Refusal(422, "INVALID_FILTER_BY_FORMULA", f"{begin} {why}")


def no_permission(what: str = "perform this operation") -> Refusal:
    return Refusal(403, "INVALID_PERMISSIONS", f"You are not permitted to {what}")


def no_record() -> Refusal:
    return Refusal(404, "MODEL_ID_NOT_FOUND", "Record not found")


def no_row(key: str) -> Refusal:
    return Refusal(422, "ROW_DOES_NOT_EXIST", f"Record ID {key} does not exist in this table")


def wrong_records(message: str) -> Refusal:
    return Refusal(422, "INVALID_RECORDS", message)


def wrong_value(name: str) -> Refusal:
    return Refusal(422, "INVALID_VALUE_FOR_COLUMN", f'Field "{name}" cannot accept the provided value')


def computed(name: str) -> Refusal:
    why = f'Field "{name}" cannot accept a value because the field is computed'
    return Refusal(422, "INVALID_VALUE_FOR_COLUMN", why)


def no_record_ids() -> Refusal:
    return Refusal(422, "INVALID_VALUE_FOR_COLUMN", "Value is not an array of record IDs.")


def unreadable_date(name: str, found: str) -> Refusal:
    why = f'Cannot parse date value "{found}" for field {name}'
    return Refusal(422, "INVALID_VALUE_FOR_COLUMN", why)


def no_option(option: str, *, is_quoted_twice: bool) -> Refusal:
    option = f'"{option}"' if is_quoted_twice else option
    why = f'Insufficient permissions to create new select option "{option}"'
    return Refusal(422, "INVALID_MULTIPLE_CHOICE_OPTIONS", why)
