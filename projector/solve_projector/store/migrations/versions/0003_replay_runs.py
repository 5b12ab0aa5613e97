"""What each replay left, for monitors; see 0003_replay_runs.sql."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_context().config.attributes["run_sql"](op.get_bind(), "0003_replay_runs.sql")  # type: ignore[union-attr]
