"""The tables of the first version; see 0001_initial.sql."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_context().config.attributes["run_sql"](op.get_bind(), "0001_initial.sql")  # type: ignore[union-attr]
