SELECT
  (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %(database)s) AS owner,
  (SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %(database)s) AS database_mark,
  (SELECT rolname FROM pg_roles WHERE rolname = %(role)s) AS role,
  (SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %(role)s) AS mark,
  (SELECT array_agg(datname) FROM pg_database
    WHERE datname NOT IN ('postgres', 'template0', 'template1')) AS databases,
  -- lines that let anybody be the role without a proof
  (SELECT string_agg(line_number::text, ', ') FROM pg_hba_file_rules
    WHERE auth_method = 'trust' AND database && ARRAY['all', 'sameuser', 'samerole', %(database)s]
      AND user_name && ARRAY['all', %(role)s]) AS open,
  current_setting('hba_file') AS hba,
  -- settings in our file that a restart would bring
  EXISTS (SELECT FROM pg_file_settings WHERE sourcefile LIKE '%%/conf.d/flask-host.conf' AND error IS NOT NULL) AS unread
