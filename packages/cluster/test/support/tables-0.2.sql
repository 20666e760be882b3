-- The tables as uninet 0.2.0 made them, in which a trial was a workflow of Effect Cluster's: a search whose driver and worker are gone, and one message of another program's.
create table cluster_messages (
  id bigint primary key, rowid bigserial, message_id varchar(255) unique, shard_id varchar(50) not null, entity_type varchar(150) not null,
  entity_id varchar(255) not null, kind integer not null, tag varchar(50), payload text, headers text, trace_id varchar(32), span_id varchar(16),
  sampled boolean, processed boolean default false not null, request_id bigint not null, reply_id bigint, last_reply_id bigint,
  last_read timestamp, deliver_at bigint
);
create table cluster_replies (
  id bigint primary key, rowid bigserial, kind integer, request_id bigint not null, payload text not null, sequence integer,
  acked boolean default false not null, unique (request_id, kind), unique (request_id, sequence)
);
create table cluster_migrations (migration_id integer primary key, created_at timestamptz default now() not null, name text not null);
create table uninet_checkpoint (search text, keep text, name text, content bytea not null, primary key (search, keep, name));
create table uninet_migrations (migration_id integer primary key, created_at timestamptz default now() not null, name text not null);
create table uninet_outcome (key text primary key, search text not null, outcome text not null, weights bytea, at timestamptz default now() not null);
create table uninet_progress (
  key text primary key, search text not null, worker text not null, done double precision not null, loss double precision,
  examples_per_second double precision, at timestamptz default now() not null
);
create table uninet_queue (
  sequence serial primary key, id varchar(255) not null, queue_name varchar(255) not null, element text not null, attempts integer default 0 not null,
  last_failure text, acquired_at timestamp, acquired_by uuid, created_at timestamp not null, updated_at timestamp not null,
  state varchar(10) not null, visible_at timestamp not null
);
create unique index idx_uninet_queue_id on uninet_queue (id, queue_name);
create table uninet_queue_migrations (migration_id integer primary key, created_at timestamptz default now() not null, name text not null);
create table uninet_search (
  id text primary key, version text not null, description text not null, host text, pid integer, seen_at timestamptz,
  begun_at timestamptz default now() not null
);
create table uninet_worker (
  id text primary key, version text not null, host text not null, pid integer not null, slots integer not null, problem text,
  seen_at timestamptz default now() not null
);
insert into cluster_messages (id, message_id, shard_id, entity_type, entity_id, kind, tag, payload, headers, request_id)
  values (252522148483039233, 'Workflow/Trial/2a97/9d9d/run/', 'uninet-2a97516c354b68848cdb:2', 'Workflow/Trial/2a97', '9d9d', 0, 'run', '{}', '{}', 252522148483039233),
    (252522148483039234, 'Entity/Counter/one/increment/', 'default:2', 'Counter', 'one', 0, 'increment', '{}', '{}', 252522148483039234);
insert into cluster_replies (id, kind, request_id, payload)
  values (252522148797612032, 0, 252522148483039233, '{"_tag":"Success","value":{"_tag":"Suspended","cause":null}}'),
    (252522148797612033, 0, 252522148483039234, '{"_tag":"Success","value":1}');
insert into cluster_migrations (migration_id, name) values (1, 'create_tables'), (2, 'entity_type_size'), (3, 'pg_messages_rowid_index');
insert into uninet_migrations (migration_id, name) values (1, 'tables'), (2, 'checkpoints'), (3, 'examples');
insert into uninet_queue_migrations (migration_id, name) values (1, 'create_table'), (2, 'upgrade_schema');
insert into uninet_search (id, version, description, host, pid, seen_at)
  values ('demo', '0.2.0', '{"module":"formula","options":{"milliseconds":20,"log":null}}', 'lab1', 15885, now() - interval '1 day');
insert into uninet_worker (id, version, host, pid, slots, seen_at)
  values ('0c669e0a-7d6c-4ca7-92d9-4b3499963f20', '0.2.0', 'lab2', 15884, 1, now() - interval '1 day');
insert into uninet_queue (id, queue_name, element, state, created_at, updated_at, visible_at)
  values ('demo/1/own/39d53553fd20087d228a5523', 'trials/0.2.0', '{"search":"demo"}', 'pending', now(), now(), now());
insert into uninet_progress (key, search, worker, done) values ('demo/1/own/39d53553fd20087d228a5523', 'demo', '0c669e0a', 0.5);
