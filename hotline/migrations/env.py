"""How alembic is run here: always on a connection that `hotline.migration` hands over."""

from alembic import context

from hotline.migration import options
from hotline.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, **options()
)
with context.begin_transaction():
    context.run_migrations()
