-- one row: what a session is connected to, and how
SELECT
    current_setting('server_version') AS server_version,
    current_user AS user_name,
    current_database() AS database_name,
    current_setting('TimeZone') AS time_zone,
    coalesce(
        (
            SELECT 'encrypted (' || stat.version || ')'
            FROM pg_catalog.pg_stat_ssl AS stat
            WHERE stat.pid = pg_backend_pid() AND stat.ssl
        ),
        'in the clear'
    ) AS encryption
