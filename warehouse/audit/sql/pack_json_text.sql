-- A text as JSON, as Python's json.dumps(ensure_ascii=False) writes it: quotes, backslashes and control characters are
-- escaped. DuckDB's own to_json writes the hexadecimal digits of control characters as capitals.
CREATE OR REPLACE TEMP MACRO json_text(s) AS '"' || CASE
    WHEN regexp_matches(s, '[\x00-\x1f]')
        THEN
            array_to_string([
                CASE unicode(letter)
                    WHEN 34 THEN '\"'
                    WHEN 92 THEN '\\'
                    WHEN 8 THEN '\b'
                    WHEN 9 THEN '\t'
                    WHEN 10 THEN '\n'
                    WHEN 12 THEN '\f'
                    WHEN 13 THEN '\r'
                    ELSE CASE WHEN unicode(letter) < 32 THEN printf('\u%04x', unicode(letter)) ELSE letter END
                END FOR letter IN string_split(s, '')
            ], '')
    ELSE replace(replace(s, '\', '\\'), '"', '\"')
END || '"'
