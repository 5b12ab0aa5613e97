"""Who dealt with a dead letter or a parked event; see 0002_dead_letter_handling.sql."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_context().config.attributes["run_sql"](op.get_bind(), "0002_dead_letter_handling.sql")  # type: ignore[union-attr]
