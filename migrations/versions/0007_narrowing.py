"""what searches and filters of schedules ask for stands in the indexes by name and by status"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

NAME, STATUS = "ix_schedules_name", "ix_schedules_status"
LIVING = sa.text("deleted_at IS NULL")
BY_NAME = ["tenant_id", sa.literal_column("lower(name)"), "id"]
BY_STATUS = ["tenant_id", "status", "id"]


def upgrade() -> None:
    op.drop_index(NAME, table_name="schedules")
    op.create_index(
        NAME,
        "schedules",
        BY_NAME,
        postgresql_include=["name", "workflow_id", "install_id", "endpoint_id", "status", "trigger_type"],
        postgresql_where=LIVING,
    )
    op.drop_index(STATUS, table_name="schedules")
    op.create_index(STATUS, "schedules", BY_STATUS, postgresql_include=["trigger_type"], postgresql_where=LIVING)


def downgrade() -> None:
    for name, columns in ((STATUS, BY_STATUS), (NAME, BY_NAME)):
        op.drop_index(name, table_name="schedules")
        op.create_index(name, "schedules", columns, postgresql_where=LIVING)
