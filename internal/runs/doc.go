// Package runs keeps the records of runs on disk, a directory each, without a database.
//
// It guarantees that
//
//   - a run is either on disk whole and readable or not there at all, whenever the program is killed, the power goes or
//     the disk is full;
//   - writing never holds up the load: requests that the disk cannot take in time are left out, and the record says how many;
//   - several processes may share the directory, of several machines where its file system's locks (flock) hold between them, and
//     no id leads out of it;
//   - records of older versions stay readable; those of newer ones are refused with a word about it, and left alone;
//   - what is pinned is never removed.
//
// The directory:
//
//	<dir>/
//	├── 20261122T020000Z-nightly_soak-1f3a9c02/     the id: sorts by time
//	│   ├── run.json                                record.Run and what was kept of the requests; what lists need comes first
//	│   └── requests.jsonl.zst                      one line for each request: see Request; may be missing
//	├── .tmp-<id>/                                  a run under way: its lock tells whether its process lives
//	├── .del-<id>/                                  a run being removed
//	├── .lock                                       held for moments, while names change
//	└── baselines.json                              pinned runs and baselines
//
// How a record comes to be there:
//
//	Begin     mkdir .tmp-<id>          killed here: left over, removed when the directory is opened next
//	Request   write, compressed           "
//	Commit    write run.json, sync all    "
//	          rename to <id>           the record is there, whole
//	          sync the directory       ... after a power cut, too
//
// Files are for their owner alone (0600 and 0700): a record holds the configuration, addresses and servers' error texts,
// in which prompts may be quoted.
package runs
