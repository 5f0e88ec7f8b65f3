"""What PostgreSQL's catalog is asked. Columns of newer versions are read by way of JSON, so that
the same questions do from version 12 on."""

_OURS = """
n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_%'
"""

_NAME = "CASE WHEN n.nspname = 'public' THEN '' ELSE n.nspname || '.' END || c.relname"
_SQL = "quote_ident(n.nspname) || '.' || quote_ident(c.relname)"

NAMES = f"""
SELECT leaf.oid, {_NAME} AS name
FROM pg_class AS leaf
JOIN pg_class AS c ON c.oid = coalesce(
    CASE WHEN leaf.relispartition THEN pg_partition_root(leaf.oid) END, leaf.oid)
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE leaf.relkind IN ('r', 'p', 'f') AND {_OURS}
"""

TABLES = f"""
SELECT c.oid, {_NAME} AS name, {_SQL} AS sql, c.relkind = 'p' AS partitioned,
    c.relkind = 'f' AS foreign,
    CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partition_by,
    (SELECT e.extname FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
     WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
       AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e') AS extension
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND c.relpersistence <> 't' AND {_OURS}
ORDER BY 2
"""

COLUMNS = f"""
WITH RECURSIVE under (oid, base, typmod) AS (
    SELECT t.oid, t.oid, -1 FROM pg_type AS t
    UNION ALL
    SELECT u.oid, t.typbasetype, t.typtypmod FROM under AS u JOIN pg_type AS t ON t.oid = u.base
    WHERE t.typtype = 'd'
)
SELECT c.oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
    format_type(b.oid, greatest(a.atttypmod, u.typmod)) AS base,
    b.typcategory::text AS category, b.typtype::text AS typtype, a.attnotnull AS not_null,
    CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END AS generated,
    CASE WHEN greatest(a.atttypmod, u.typmod) > 4 AND b.typname IN ('varchar', 'bpchar')
         THEN greatest(a.atttypmod, u.typmod) - 4 END AS length_max,
    a.attidentity <> '' AS identity
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN under AS u ON u.oid = a.atttypid
JOIN pg_type AS b ON b.oid = u.base AND b.typtype <> 'd'
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND c.relpersistence <> 't' AND {_OURS}
ORDER BY c.oid, a.attnum
"""

_INDEX_PARTS = """
    (SELECT array_agg(a.attname::text ORDER BY p) FROM generate_series(1, i.indnkeyatts) AS p
     LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p - 1]
        AND i.indkey[p - 1] <> 0) AS columns,
    (SELECT array_agg(CASE WHEN i.indkey[p - 1] = 0
                      THEN pg_get_indexdef(i.indexrelid, p::int, true) END ORDER BY p)
     FROM generate_series(1, i.indnkeyatts) AS p) AS expressions,
    pg_get_expr(i.indpred, i.indrelid) AS where
"""

UNIQUES = f"""
SELECT x.relname AS name, i.indrelid AS table, i.indisprimary AS primary,
    NOT coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS nulls_distinct,
    {_INDEX_PARTS}
FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indisunique AND i.indisvalid AND NOT i.indisexclusion
  AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND {_OURS}
ORDER BY i.indrelid, NOT i.indisprimary, x.relname
"""

EXCLUSIONS = f"""
SELECT x.relname AS name, i.indrelid AS table,
    (SELECT array_agg(o.oprname::text ORDER BY p)
     FROM unnest(k.conexclop) WITH ORDINALITY AS e (op, p) JOIN pg_operator AS o ON o.oid = e.op)
     AS operators,
    {_INDEX_PARTS}
FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_constraint AS k ON k.conindid = i.indexrelid AND k.contype IN ('x', 'p', 'u')
WHERE i.indisexclusion AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND {_OURS}
ORDER BY i.indrelid, x.relname
"""

FOREIGN_KEYS = f"""
SELECT k.conname AS name, k.conrelid AS table, k.confrelid AS parent,
    k.confmatchtype = 'f' AS match_full, k.confdeltype = 'c' AS cascades,
    k.convalidated AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
        AND NOT coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false)
        AND NOT c.relispartition AND NOT f.relispartition AS holds,
    (SELECT array_agg(a.attname::text ORDER BY p) FROM unnest(k.conkey) WITH ORDINALITY AS e (n, p)
     JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = e.n) AS columns,
    (SELECT array_agg(a.attname::text ORDER BY p) FROM unnest(k.confkey) WITH ORDINALITY AS e (n, p)
     JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = e.n) AS parent_columns
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_class AS f ON f.oid = k.confrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND {_OURS}
ORDER BY k.conrelid, k.conname
"""

CHECKS = f"""
SELECT k.conname AS name, k.conrelid AS table, pg_get_expr(k.conbin, k.conrelid) AS expression,
    k.convalidated AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true) AS holds
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'c' AND NOT c.relispartition AND c.relkind IN ('r', 'p') AND {_OURS}
ORDER BY k.conrelid, k.conname
"""

SEQUENCES = f"""
WITH uses AS (
    SELECT d.objid AS sequence, d.refobjid AS table, d.refobjsubid AS number
    FROM pg_depend AS d
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
    UNION
    SELECT d.refobjid, f.adrelid, f.adnum
    FROM pg_depend AS d JOIN pg_attrdef AS f ON f.oid = d.objid
    WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
)
SELECT c.relname AS name, {_SQL} AS sql, s.seqmax AS highest,
    array_agg(a.attrelid) AS tables, array_agg(a.attname::text) AS columns
FROM pg_sequence AS s JOIN pg_class AS c ON c.oid = s.seqrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN uses AS u ON u.sequence = c.oid
JOIN pg_attribute AS a ON a.attrelid = u.table AND a.attnum = u.number
JOIN pg_class AS t ON t.oid = a.attrelid AND t.relkind IN ('r', 'p') AND NOT t.relispartition
WHERE s.seqincrement > 0 AND {_OURS}
GROUP BY 1, 2, 3, c.oid ORDER BY c.oid
"""

# One that is made of another was made after it.
VIEWS = f"""
SELECT {_NAME} AS name, {_SQL} AS sql
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND c.relispopulated AND {_OURS} ORDER BY c.oid
"""

PARTITIONS = """
SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS sql,
    (pg_relation_size(c.oid) / current_setting('block_size')::int)::int AS pages,
    pg_get_partition_constraintdef(c.oid) AS takes
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = $1 AND c.relkind IN ('r', 'f')
   OR c.oid IN (SELECT relid FROM pg_partition_tree($1) WHERE isleaf) AND c.relkind = 'r'
ORDER BY c.oid
"""

SIZES = """
SELECT coalesce(sum(pg_total_relation_size(t)), 0)::bigint AS bytes,
    coalesce(sum(pg_indexes_size(t)), 0)::bigint AS index_bytes,
    coalesce(max((SELECT max(pg_relation_size(i.indexrelid)) FROM pg_index AS i
                  WHERE i.indrelid = t)), 0)::bigint AS largest_index_bytes
FROM unnest($1::oid[]) AS t
"""

TRIGGERS = """
SELECT tgname AS name, tgenabled IN ('A', 'R') AS always
FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND tgenabled <> 'D' ORDER BY tgname
"""
