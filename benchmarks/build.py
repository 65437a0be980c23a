"""dbt as boxoffice/build.py runs it, on any warehouse: `python -m benchmarks.build build ...`."""

import gc

from boxoffice.build import COLLECTED_AT

if __name__ == "__main__":
    gc.set_threshold(*COLLECTED_AT)
    from dbt.cli.main import cli

    cli()
