-- one row per way in which the user of a session may write: what it is, then tables and schemas
SELECT 'is a superuser' AS way
FROM pg_catalog.pg_roles AS own
WHERE own.rolname = current_user AND own.rolsuper
UNION ALL
SELECT 'may make databases or roles' AS way
FROM pg_catalog.pg_roles AS own
WHERE own.rolname = current_user AND (own.rolcreatedb OR own.rolcreaterole)
UNION ALL
SELECT 'is a member of ' || granted.rolname AS way
FROM pg_catalog.pg_roles AS granted
WHERE
    granted.rolname IN ('pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program')
    AND pg_has_role(current_user, granted.oid, 'member')
UNION ALL
SELECT 'makes objects in schema ' || found.nspname AS way
FROM pg_catalog.pg_namespace AS found
WHERE
    left(found.nspname, 3) <> 'pg_'
    AND found.nspname <> 'information_schema'
    AND has_schema_privilege(found.oid, 'CREATE')
UNION ALL
SELECT 'writes into ' || space.nspname || '.' || found.relname AS way
FROM pg_catalog.pg_class AS found
INNER JOIN pg_catalog.pg_namespace AS space ON found.relnamespace = space.oid
WHERE
    found.relkind IN ('r', 'p', 'v', 'f')
    AND left(space.nspname, 3) <> 'pg_'
    AND space.nspname <> 'information_schema'
    AND (
        has_table_privilege(found.oid, 'INSERT')
        OR has_table_privilege(found.oid, 'UPDATE')
        OR has_table_privilege(found.oid, 'DELETE')
        OR has_table_privilege(found.oid, 'TRUNCATE')
    )
