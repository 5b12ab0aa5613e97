"""Who may administer, and what they did; see 0004_admins.sql."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_context().config.attributes["run_sql"](op.get_bind(), "0004_admins.sql")  # type: ignore[union-attr]
