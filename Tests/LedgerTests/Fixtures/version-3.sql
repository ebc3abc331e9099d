PRAGMA user_version = 3; PRAGMA application_id = 1416520813;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    record BLOB NOT NULL
);
INSERT INTO journal VALUES(7,X'0101000000010109000000000000000b00000064656661756c742f776562740000007b226d65746164617461223a7b226e616d657370616365223a2264656661756c74222c226e616d65223a22776562222c22756964223a22752d776562222c227265736f7572636556657273696f6e223a2239227d2c2273706563223a7b2274797065223a224c6f616442616c616e636572227d7d020000007b7d020000000120040700600a028006070000000000000000000000b80d0120b3d175e47e3d122d');
INSERT INTO journal VALUES(9,X'010200000001000a000000000000000b00000064656661756c742f6f6c6403010b0000000000000010000000636f6e7461696e65722f642f65746830490000007b226d65746164617461223a7b226e616d65223a2264222c227265736f7572636556657273696f6e223a223131227d2c2273706563223a7b226e6f64654e616d65223a226e31227d7d00000000010000000420040500f40a7925273d8b004c4b');
INSERT INTO journal VALUES(10,X'010300000003000c0000000000000010000000636f6e7461696e65722f612f6574683004010d000000000000000a00000031302e3234342e302e32250000007b226e6f6465223a226e31222c2272656c65617365644174223a313730303030303130307d000000000000000004010e000000000000000e000000666430303a31303a3234343a3a32250000007b226e6f6465223a226e31222c2272656c65617365644174223a313730303030303130307d000000000000000035fb1bd6c0d3bf70');
INSERT INTO journal VALUES(13,X'010500000004000f000000000000000a00000031302e3234342e302e340301100000000000000010000000636f6e7461696e65722f652f65746830490000007b226d65746164617461223a7b226e616d65223a2265222c227265736f7572636556657273696f6e223a223136227d2c2273706563223a7b226e6f64654e616d65223a226e31227d7d00000000010000000420040400f40a0300110000000000000010000000636f6e7461696e65722f622f657468300301120000000000000010000000636f6e7461696e65722f622f65746830490000007b226d65746164617461223a7b226e616d65223a2262222c227265736f7572636556657273696f6e223a223138227d2c2273706563223a7b226e6f64654e616d65223a226e31227d7d00000000010000000420040600f40a0300130000000000000010000000636f6e7461696e65722f652f65746830a1cd11af0f0bcb84');
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES('seq',6);
INSERT INTO meta VALUES('version',8);
CREATE TABLE services (
    namespace TEXT AS (json_extract(document, '$.metadata.namespace')),
    name TEXT AS (json_extract(document, '$.metadata.name')),
    type TEXT AS (json_extract(document, '$.spec.type')),
    ip_family_policy TEXT AS (json_extract(document, '$.spec.ipFamilyPolicy')),
    cluster_ips TEXT AS (json_extract(document, '$.spec.clusterIPs')),
    uid TEXT AS (json_extract(document, '$.metadata.uid')),
    key TEXT PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    holdings TEXT NOT NULL,
    context TEXT NOT NULL,
    document TEXT NOT NULL
);
INSERT INTO services VALUES('default/old',2,'','','{"metadata":{"namespace":"default","name":"old","uid":"u-old","resourceVersion":"2"},"spec":{"type":"ClusterIP"}}');
INSERT INTO services VALUES('default/web',1,'clusterIP=10.96.0.7 clusterIP=fd00:10:96::7','{"ipFamilyPolicy":"PreferDualStack"}','{"metadata":{"namespace":"default","name":"web","uid":"u-web","resourceVersion":"1"},"spec":{"type":"ClusterIP"}}');
CREATE TABLE nodes (
    name TEXT AS (json_extract(document, '$.metadata.name')),
    pod_cidrs TEXT AS (json_extract(document, '$.spec.podCIDRs')),
    uid TEXT AS (json_extract(document, '$.metadata.uid')),
    key TEXT PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    holdings TEXT NOT NULL,
    context TEXT NOT NULL,
    document TEXT NOT NULL
);
INSERT INTO nodes VALUES('n1',3,'podCIDR=10.244.0.0/24 podCIDR=fd00:10:244::/64','','{"metadata":{"name":"n1"}}');
CREATE TABLE pods (
    namespace TEXT AS (json_extract(document, '$.metadata.namespace')),
    name TEXT AS (json_extract(document, '$.metadata.name')),
    node TEXT AS (json_extract(document, '$.spec.nodeName')),
    pod_ips TEXT AS (json_extract(document, '$.status.podIPs')),
    uid TEXT AS (json_extract(document, '$.metadata.uid')),
    key TEXT PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    holdings TEXT NOT NULL,
    context TEXT NOT NULL,
    document TEXT NOT NULL
);
INSERT INTO pods VALUES('container/a/eth0',4,'podIP=10.244.0.2','','{"metadata":{"name":"a","resourceVersion":"4"},"spec":{"nodeName":"n1"}}');
INSERT INTO pods VALUES('container/b/eth0',5,'podIP=10.244.0.3','','{"metadata":{"name":"b","resourceVersion":"5"},"spec":{"nodeName":"n1"}}');
CREATE TABLE cooling (
    address TEXT AS (key),
    node TEXT AS (json_extract(document, '$.node')),
    released_at TEXT AS (datetime(json_extract(document, '$.releasedAt'), 'unixepoch')),
    key TEXT PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    holdings TEXT NOT NULL,
    context TEXT NOT NULL,
    document TEXT NOT NULL
);
INSERT INTO cooling VALUES('10.244.0.4',8,'','','{"node":"n1","releasedAt":1700000000}');
CREATE VIEW addresses (address, pool, kind, owner) AS
WITH held (kind, owner, holding) AS (
    SELECT 'Service', services.key, json_each.value FROM services, json_each('["' || replace(holdings, ' ', '","') || '"]')
    UNION ALL
    SELECT 'Node', nodes.key, json_each.value FROM nodes, json_each('["' || replace(holdings, ' ', '","') || '"]')
    UNION ALL
    SELECT 'Pod', pods.key, json_each.value FROM pods, json_each('["' || replace(holdings, ' ', '","') || '"]')
)
SELECT substr(holding, instr(holding, '=') + 1), substr(holding, 1, instr(holding, '=') - 1), kind, owner
FROM held WHERE holding <> '';
COMMIT;
