"""Entities and fields of the CiviCRM stand-in, and the rows that a new site begins with."""

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.store import Json

GROUP = "OptionValue"


@dataclass(frozen=True)
class Field:
    """`refers`: the entity whose id it holds; `options`: an entity or a group of OptionValue."""

    name: str
    type: str
    length: int | None = None
    is_required: bool = False  # asked for by create
    is_filled: bool = False  # the database refuses null
    is_unique: bool = False
    is_computed: bool = False  # given only when named
    refers: str | None = None
    on_delete: str = "clear"  # or cascade
    options: str | None = None
    is_list: bool = False
    default: str | None = None


# name type[length] flags. `!` required, `~` never null, `@` unique, `?` computed, `[]` a list, `=` default,
# `>Entity` refers (`>>Entity` and goes with it), `:options` where its names stand.
FIELDS = {
    "Contact": """contact_type:String:64~ contact_sub_type:String[] external_identifier:String:64@
        first_name:String:64 middle_name:String:64 last_name:String:64 organization_name:String:128
        display_name:String:128 sort_name:String:128 nick_name:String:128 suffix_id:Integer
        source:String:255 job_title:String:255 employer_id:Integer>Contact api_key:String:32@
        do_not_email:Boolean=false is_deceased:Boolean=false is_opt_out:Boolean=false is_deleted:Boolean=false
        birth_date:Date created_date:Timestamp modified_date:Timestamp
        email_primary:Integer?>Email phone_primary:Integer?>Phone address_primary:Integer?>Address
        email_billing:Integer?>Email phone_billing:Integer?>Phone address_billing:Integer?>Address""",
    "Email": """contact_id:Integer>>Contact location_type_id:Integer:LocationType email:String:254!
        is_primary:Boolean=false is_billing:Boolean=false on_hold:Integer=0""",
    "Phone": """contact_id:Integer>>Contact location_type_id:Integer:LocationType phone:String:32!
        phone_ext:String:16 phone_numeric:String:32 phone_type_id:Integer:phone_type
        is_primary:Boolean=false is_billing:Boolean=false""",
    "Address": """contact_id:Integer>>Contact location_type_id:Integer:LocationType
        is_primary:Boolean=false is_billing:Boolean=false street_address:String:96
        supplemental_address_1:String:96 supplemental_address_2:String:96 city:String:64
        postal_code:String:64 postal_code_suffix:String:12 country_id:Integer:Country
        state_province_id:Integer:StateProvince name:String:255""",
    "Event": """title:String:255! event_type_id:Integer!:event_type start_date:Timestamp! end_date:Timestamp
        summary:Text description:Text is_public:Boolean=true is_online_registration:Boolean=false
        is_active:Boolean=true is_template:Boolean=false template_title:String:255
        is_monetary:Boolean=false financial_type_id:Integer:FinancialType currency:String:3
        max_participants:Integer default_role_id:Integer=1:participant_role
        dedupe_rule_group_id:Integer>DedupeRuleGroup allow_same_participant_emails:Boolean=false
        created_date:Timestamp""",
    "Participant": """contact_id:Integer!>>Contact event_id:Integer!>>Event
        status_id:Integer~=1:ParticipantStatusType role_id:String[]:participant_role register_date:Timestamp
        source:String:128 fee_level:String[] is_test:Boolean=false is_pay_later:Boolean=false
        fee_amount:Money fee_currency:String:3 registered_by_id:Integer>Participant discount_id:Integer
        campaign_id:Integer cart_id:Integer must_wait:Integer transferred_to_contact_id:Integer>Contact
        created_id:Integer>Contact""",
    "ParticipantStatusType": """name:String:64! label:String:255! class:String:8 is_reserved:Boolean=false
        is_active:Boolean=true is_counted:Boolean=false weight:Integer! visibility_id:Integer=1""",
    "Contribution": """contact_id:Integer!>>Contact financial_type_id:Integer!:FinancialType
        payment_instrument_id:Integer:payment_instrument receive_date:Timestamp
        non_deductible_amount:Money=0 total_amount:Money! fee_amount:Money net_amount:Money
        trxn_id:String:255@ invoice_id:String:255@ invoice_number:String:255 currency:String:3
        cancel_date:Timestamp cancel_reason:Text source:String:255 amount_level:Text is_test:Boolean=false
        is_pay_later:Boolean=false contribution_status_id:Integer~=1:contribution_status
        address_id:Integer>Address check_number:String:255 campaign_id:Integer tax_amount:Money=0
        is_template:Boolean=false paid_amount:Money? balance_amount:Money? tax_exclusive_amount:Money?""",
    "ParticipantPayment": "participant_id:Integer!>>Participant contribution_id:Integer!>>Contribution",
    "LineItem": """entity_table:String:64! entity_id:Integer! contribution_id:Integer>>Contribution
        price_field_id:Integer>PriceField label:String:255 qty:Float! unit_price:Money! line_total:Money!
        participant_count:Integer price_field_value_id:Integer>PriceFieldValue
        financial_type_id:Integer:FinancialType non_deductible_amount:Money=0 tax_amount:Money=0""",
    "FinancialTrxn": """trxn_date:Timestamp total_amount:Money~ fee_amount:Money net_amount:Money
        currency:String:3 is_payment:Boolean=false trxn_id:String:255
        status_id:Integer:contribution_status payment_instrument_id:Integer:payment_instrument
        check_number:String:255""",
    "EntityFinancialTrxn": """entity_table:String:64~ entity_id:Integer~
        financial_trxn_id:Integer>>FinancialTrxn amount:Money~""",
    "FinancialItem": """transaction_date:Timestamp contact_id:Integer>>Contact description:String:255
        amount:Money=0 currency:String:3 financial_account_id:Integer status_id:Integer
        entity_table:String:64 entity_id:Integer""",
    "PriceSet": """name:String:255!@ title:String:255! extends:String:255 is_quick_config:Boolean=false
        is_active:Boolean=true financial_type_id:Integer:FinancialType""",
    "PriceField": """price_set_id:Integer!>PriceSet name:String:255 label:String:255! html_type:String:12!
        is_enter_qty:Boolean=false is_active:Boolean=true weight:Integer=1""",
    "PriceFieldValue": """price_field_id:Integer!>PriceField name:String:255 label:String:255! amount:Money!
        financial_type_id:Integer!:FinancialType count:Integer max_value:Integer is_active:Boolean=true""",
    "LocationType": """name:String:64! display_name:String:64! is_reserved:Boolean=false
        is_active:Boolean=true is_default:Boolean=false""",
    "FinancialType": "name:String:64! label:String:64 is_active:Boolean=true is_reserved:Boolean=false",
    "OptionGroup": "name:String:64!@ title:String:255 is_active:Boolean=true is_reserved:Boolean=true",
    "OptionValue": """option_group_id:Integer!>OptionGroup:OptionGroup label:String:512! value:String:512
        name:String:255 is_default:Boolean=false weight:Integer=1 is_reserved:Boolean=false
        is_active:Boolean=true""",
    "CustomGroup": """name:String:64@ title:String:64! extends:String:255!
        extends_entity_column_id:Integer extends_entity_column_value:String[] style:String:15
        is_multiple:Boolean=false is_active:Boolean=true weight:Integer=1""",
    "CustomField": """custom_group_id:Integer!>>CustomGroup:CustomGroup name:String:64 label:String:255!
        data_type:String:16! html_type:String:32! text_length:Integer=255 serialize:Integer=0
        option_group_id:Integer>OptionGroup:OptionGroup is_required:Boolean=false
        is_view:Boolean=false is_active:Boolean=true is_searchable:Boolean=false weight:Integer=1""",
    "DedupeRuleGroup": """contact_type:String:12 threshold:Integer! used:String:12! name:String:255
        title:String:255 is_reserved:Boolean=false""",
    "DedupeRule": """dedupe_rule_group_id:Integer!>>DedupeRuleGroup rule_table:String:64!
        rule_field:String:64! rule_weight:Integer!""",
    "Country": "name:String:64 iso_code:String:2 is_active:Boolean=true",
    "StateProvince": "name:String:64 abbreviation:String:4 country_id:Integer:Country is_active:Boolean=true",
    "Activity": """activity_type_id:Integer:activity_type subject:String:255 activity_date_time:Timestamp
        source_record_id:Integer status_id:Integer=2 target_contact_id:Integer""",
    "Domain": "name:String:64 version:String:32 is_active:Boolean=true",
    "Job": """name:String:255 run_frequency:String:8 api_entity:String:255 api_action:String:255
        parameters:Text is_active:Boolean=true last_run:Timestamp""",
}
READ_ONLY = ("LineItem", "FinancialTrxn", "EntityFinancialTrxn", "FinancialItem", "Country", "StateProvince")
# ParticipantPayment has no entity of API v4.
V3_ONLY = ("ParticipantPayment",)
CONTACT_TYPES = ("Individual", "Household", "Organization")
# Whose names, labels and abbreviations stand in which fields: value, name, label, abbr.
NAMES = {
    "OptionValue": ("value", "name", "label", "name"),
    "LocationType": ("id", "name", "display_name", "name"),
    "Country": ("id", "name", "name", "iso_code"),
    "StateProvince": ("id", "name", "name", "abbreviation"),
    "CustomGroup": ("id", "name", "title", "name"),
    "OptionGroup": ("id", "name", "title", "name"),
    "FinancialType": ("id", "name", "name", "name"),
    "ParticipantStatusType": ("id", "name", "label", "name"),
}


def _parsed(spec: str) -> Iterator[Field]:
    import re

    pattern = re.compile(r"(\w+):(\w+)(?::(\d+))?(\[\])?([!~@?]*)(?:=(\w+))?(>{0,2})([A-Z]\w+)?(?::(\w+))?")
    for word in spec.split():
        match = pattern.fullmatch(word)
        if match is None:
            raise ValueError(word)
        name, kind, length, is_list, flags, default, arrows, refers, options = match.groups()
        if arrows == "" and options in NAMES and options not in ("OptionValue",):
            refers = options
        yield Field(
            name,
            kind,
            int(length) if length else None,
            is_required="!" in flags,
            is_filled="!" in flags or "~" in flags,
            is_unique="@" in flags,
            is_computed="?" in flags,
            refers=refers,
            on_delete="cascade" if arrows == ">>" else "clear",
            options=options,
            is_list=bool(is_list),
            default=default,
        )


ENTITIES: dict[str, dict[str, Field]] = {
    entity: {"id": Field("id", "Integer")} | {field.name: field for field in _parsed(spec)}
    for entity, spec in FIELDS.items()
}
TEXTS = ("email", "entity_id", "first_name", "last_name", "street_address", "name")
# Fields by which rows are found at once.
INDEXED: dict[str, tuple[str, ...]] = {
    entity: tuple(
        field.name
        for field in fields.values()
        if not field.is_computed and (field.refers or field.is_unique or field.name in TEXTS)
    )
    for entity, fields in ENTITIES.items()
}

STATUS_TYPES = (
    ("Registered", "Positive", 1, 1),
    ("Attended", "Positive", 1, 1),
    ("No-show", "Negative", 0, 1),
    ("Cancelled", "Negative", 0, 1),
    ("Pending from pay later", "Pending", 1, 1),
    ("Pending from incomplete transaction", "Pending", 0, 1),
    ("On waitlist", "Waiting", 0, 0),
    ("Awaiting approval", "Waiting", 1, 0),
    ("Pending from waitlist", "Pending", 1, 0),
    ("Pending from approval", "Pending", 1, 0),
    ("Rejected", "Negative", 0, 0),
    ("Expired", "Negative", 0, 1),
    ("Partially paid", "Positive", 1, 1),
    ("Pending refund", "Positive", 1, 1),
    ("Transferred", "Negative", 0, 1),
)
OPTIONS: dict[str, dict[int, str]] = {
    "participant_role": {1: "Attendee", 2: "Volunteer", 3: "Host", 4: "Speaker"},
    "payment_instrument": {1: "Credit Card", 2: "Debit Card", 3: "Cash", 4: "Check", 5: "EFT"},
    "contribution_status": {
        1: "Completed",
        2: "Pending",
        3: "Cancelled",
        4: "Failed",
        7: "Refunded",
        8: "Partially paid",
        9: "Pending refund",
        10: "Chargeback",
        11: "Template",
    },
    "phone_type": {1: "Phone", 2: "Mobile", 3: "Fax", 4: "Pager", 5: "Voicemail"},
    "event_type": {1: "Conference", 2: "Exhibition", 3: "Fundraiser", 4: "Meeting", 5: "Performance"},
    "activity_type": {5: "Event Registration", 6: "Contribution", 3: "Email"},
    "visibility": {1: "public", 2: "admin"},
}
DEFAULT_OPTION = {"payment_instrument": 4, "phone_type": 1, "contribution_status": 1}
COUNTRIES = {
    1013: ("AU", "Australia"),
    1014: ("AT", "Austria"),
    1020: ("BE", "Belgium"),
    1029: ("BR", "Brazil"),
    1039: ("CA", "Canada"),
    1058: ("DK", "Denmark"),
    1075: ("FI", "Finland"),
    1076: ("FR", "France"),
    1082: ("DE", "Germany"),
    1101: ("IN", "India"),
    1105: ("IE", "Ireland"),
    1107: ("IT", "Italy"),
    1110: ("JP", "Japan"),
    1140: ("MX", "Mexico"),
    1152: ("NL", "Netherlands"),
    1154: ("NZ", "New Zealand"),
    1161: ("NO", "Norway"),
    1172: ("PL", "Poland"),
    1173: ("PT", "Portugal"),
    1198: ("ES", "Spain"),
    1204: ("SE", "Sweden"),
    1205: ("CH", "Switzerland"),
    1226: ("GB", "United Kingdom"),
    1228: ("US", "United States"),
}
STATES = {
    1228: """AL Alabama;AK Alaska;AZ Arizona;AR Arkansas;CA California;CO Colorado;
        CT Connecticut;DE Delaware;FL Florida;GA Georgia;HI Hawaii;ID Idaho;IL Illinois;IN Indiana;
        IA Iowa;KS Kansas;KY Kentucky;LA Louisiana;ME Maine;MD Maryland;MA Massachusetts;MI Michigan;
        MN Minnesota;MS Mississippi;MO Missouri;MT Montana;NE Nebraska;NV Nevada;NH New Hampshire;
        NJ New Jersey;NM New Mexico;NY New York;NC North Carolina;ND North Dakota;OH Ohio;OK Oklahoma;
        OR Oregon;PA Pennsylvania;RI Rhode Island;SC South Carolina;SD South Dakota;TN Tennessee;TX Texas;
        UT Utah;VT Vermont;VA Virginia;WA Washington;WV West Virginia;WI Wisconsin;WY Wyoming;
        DC District of Columbia""",
    1039: """AB Alberta;BC British Columbia;MB Manitoba;NB New Brunswick;
        NL Newfoundland and Labrador;NS Nova Scotia;ON Ontario;PE Prince Edward Island;QC Quebec;
        SK Saskatchewan""",
}


def stock(currency: str) -> dict[str, list[Json]]:
    """The rows of a site where nobody has done anything yet."""
    groups = {**OPTIONS, "currencies_enabled": {}}
    values: list[Json] = []
    for number, (group, options) in enumerate(groups.items(), start=1):
        named = {str(value): name for value, name in options.items()}
        if group == "currencies_enabled":
            named = {currency: currency}
        for weight, (value, name) in enumerate(named.items(), start=1):
            values.append(
                {
                    "option_group_id": number,
                    "value": value,
                    "name": name,
                    "label": name,
                    "weight": weight,
                    "is_default": value == str(DEFAULT_OPTION.get(group)),
                    "is_reserved": group in ("contribution_status", "activity_type"),
                }
            )
    states = [
        {"name": name, "abbreviation": abbreviation, "country_id": country, "id": 1000 + place}
        for place, (country, abbreviation, name) in enumerate(
            (country, *line.strip().split(" ", 1))
            for country, lines in STATES.items()
            for line in lines.split(";")
        )
    ]
    rules = {
        1: ("Supervised", 20, (("first_name", 5), ("last_name", 7), ("email", 10))),
        2: ("Unsupervised", 10, (("email", 10),)),
        3: (
            "General",
            15,
            (
                ("first_name", 5),
                ("last_name", 5),
                ("street_address", 5),
                ("middle_name", 1),
                ("suffix_id", 1),
            ),
        ),
    }
    tables = {"email": "civicrm_email", "street_address": "civicrm_address"}
    return {
        "Domain": [{"name": "Default Domain Name", "version": "6.15.alpha1"}],
        "Contact": [
            {"contact_type": "Organization", "organization_name": "The venue", "display_name": "The venue"},
            {
                "contact_type": "Individual",
                "first_name": "API",
                "last_name": "User",
                "display_name": "API User",
            },
        ],
        "LocationType": [
            {
                "name": name,
                "display_name": name,
                "is_default": name == "Home",
                "is_reserved": name == "Billing",
            }
            for name in ("Home", "Work", "Main", "Other", "Billing")
        ],
        "FinancialType": [
            {"name": name, "label": name}
            for name in ("Donation", "Member Dues", "Campaign Contribution", "Event Fee")
        ],
        "ParticipantStatusType": [
            {
                "name": name,
                "label": name,
                "class": kind,
                "is_reserved": True,
                "is_counted": bool(is_counted),
                "is_active": bool(is_active),
                "weight": weight,
                "visibility_id": 1 if kind == "Positive" else 2,
            }
            for weight, (name, kind, is_counted, is_active) in enumerate(STATUS_TYPES, start=1)
        ],
        "OptionGroup": [{"name": name, "title": name.replace("_", " ").capitalize()} for name in groups],
        "OptionValue": values,
        "Country": [{"id": key, "iso_code": code, "name": name} for key, (code, name) in COUNTRIES.items()],
        "StateProvince": states,
        "PriceSet": [
            {
                "name": "default_contribution_amount",
                "title": "Contribution Amount",
                "extends": "2",
                "is_quick_config": True,
            }
        ],
        "PriceField": [
            {
                "price_set_id": 1,
                "name": "contribution_amount",
                "label": "Contribution Amount",
                "html_type": "Text",
            }
        ],
        "PriceFieldValue": [
            {
                "price_field_id": 1,
                "name": "contribution_amount",
                "label": "Contribution Amount",
                "amount": 1.0,
                "financial_type_id": 1,
            }
        ],
        "DedupeRuleGroup": [
            {
                "contact_type": "Individual",
                "threshold": threshold,
                "used": used,
                "name": f"Individual{used}",
                "title": f"Individual {used}",
                "is_reserved": used == "Unsupervised",
            }
            for used, threshold, _ in rules.values()
        ],
        "DedupeRule": [
            {
                "dedupe_rule_group_id": group,
                "rule_table": tables.get(name, "civicrm_contact"),
                "rule_field": name,
                "rule_weight": weight,
            }
            for group, (_, _, fields) in rules.items()
            for name, weight in fields
        ],
    }
