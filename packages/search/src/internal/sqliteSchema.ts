/** A journal's file as SQL: for Node's SQLite, or any other one. */

/** "UniN" in the file's header, which tells a journal from other SQLite files. */
export const applicationId = 0x556e694e
export const version = 3

/** Created if it is missing, because older journals do not have it. */
export const trainings = `
  create table if not exists place (id integer primary key, place text not null unique);
  create table if not exists training (
    trial integer not null,
    step integer not null,
    place integer not null,
    begun real not null,
    ended real not null,
    curve blob,
    primary key (trial, step)
  ) without rowid;
  create trigger if not exists training_kept before delete on training begin select raise(abort, 'the journal is append-only'); end;
  create trigger if not exists training_fixed before update on training begin select raise(abort, 'the journal is append-only'); end;
`

export const schema = `
  pragma application_id = ${applicationId};
  pragma user_version = ${version};
  create table search (identity text not null, begun integer not null);
  create table entry (
    trial integer not null,
    step integer not null,
    kind text not null,
    at integer not null,
    data text not null,
    primary key (trial, step)
  ) without rowid;
  create trigger entry_kept before delete on entry begin select raise(abort, 'the journal is append-only'); end;
  create trigger entry_fixed before update on entry begin select raise(abort, 'the journal is append-only'); end;
  ${trainings}
`

export const begin = "insert into search (identity, begun) values (?, ?)"
export const addEntry = "insert into entry (trial, step, kind, at, data) values (?, ?, ?, ?, ?)"
export const addPlace = "insert or ignore into place (place) values (?)"
export const addTraining =
  "insert into training (trial, step, place, begun, ended, curve) select ?, ?, id, ?, ?, ? from place where place = ?"
