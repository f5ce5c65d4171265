"""Everything kept: SQLAlchemy Core tables, Alembic migrations, one file of queries per noun."""
