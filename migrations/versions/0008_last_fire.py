"""schedules are found in the order of their last fire along an index"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

LAST_FIRE = "ix_schedule_cursors_last_fire"


def upgrade() -> None:
    by_last_fire = ["tenant_id", sa.literal_column("last_fire_at DESC NULLS LAST"), "schedule_id"]
    op.create_index(LAST_FIRE, "schedule_cursors", by_last_fire)


def downgrade() -> None:
    op.drop_index(LAST_FIRE, table_name="schedule_cursors")
