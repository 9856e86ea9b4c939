package journal

import (
	"database/sql"
	"fmt"
)

// applicationID marks a file as a journal: see PRAGMA application_id.
const applicationID = 0x73746a6c

// migrations are what makes each version of the schema of the one before. A
// change appends one: files of every version before are brought up to date when
// they are opened.
var migrations = []string{
	// The nonce makes a run's idempotency keys its own; the epoch is how often it was
	// opened, the owner by whom last. Times are Unix milliseconds. Records of one run
	// lie together, in the order in which they were written.
	`CREATE TABLE run (
		id INTEGER PRIMARY KEY,
		name TEXT NOT NULL UNIQUE,
		nonce TEXT NOT NULL,
		epoch INTEGER NOT NULL,
		owner TEXT NOT NULL,
		begun INTEGER NOT NULL
	);
	CREATE TABLE record (
		run INTEGER NOT NULL,
		seq INTEGER NOT NULL,
		node TEXT NOT NULL,
		kind INTEGER NOT NULL,
		attempt INTEGER NOT NULL,
		step TEXT NOT NULL,
		data BLOB NOT NULL,
		sum INTEGER NOT NULL,
		PRIMARY KEY (run, seq)
	) WITHOUT ROWID`,
	// A list of runs must not read all records. The state is a RunState; rollback says
	// whether one has begun. (SQLite keeps this text, so there are no comments in it.)
	`ALTER TABLE run ADD COLUMN nodes INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE run ADD COLUMN state INTEGER NOT NULL DEFAULT 1;
	ALTER TABLE run ADD COLUMN rollback INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE run ADD COLUMN error TEXT NOT NULL DEFAULT '';
	ALTER TABLE run ADD COLUMN ended INTEGER NOT NULL DEFAULT 0`,
}

// schemaOf returns the version of a file's schema, 0 if it is empty.
func schemaOf(db interface{ QueryRow(string, ...any) *sql.Row }) (version int, err error) {
	var id, tables int
	err = db.QueryRow(`SELECT
		(SELECT user_version FROM pragma_user_version),
		(SELECT application_id FROM pragma_application_id),
		(SELECT count(*) FROM sqlite_schema)`).Scan(&version, &id, &tables)
	switch {
	case err != nil:
		return 0, err
	case id != applicationID && (id != 0 || version != 0 || tables != 0):
		return 0, ErrNotJournal
	case version > len(migrations):
		return 0, fmt.Errorf("%w (schema %d, this one knows %d)", ErrNewer, version, len(migrations))
	}
	return version, nil
}

// migrate brings the schema of a file up to date, all or nothing.
func migrate(db *sql.DB) error {
	tx, err := db.Begin() // immediate: of several processes one does it
	if err != nil {
		return err
	}
	defer tx.Rollback()
	version, err := schemaOf(tx)
	if err != nil || version == len(migrations) {
		return err
	}
	for _, step := range migrations[version:] {
		if _, err := tx.Exec(step); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(fmt.Sprintf(`PRAGMA application_id = %d; PRAGMA user_version = %d`, applicationID, len(migrations))); err != nil {
		return err
	}
	return tx.Commit()
}
