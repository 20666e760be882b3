#!/bin/sh
# Begins a search in a folder, or goes on with the one that is there, so that whoever starts it again need not know which:
#   uninet-search <folder> [flags of uninet search]
set -e
folder=${1:?give the folder of the search, then flags of uninet search}
shift
if [ -e "$folder/journal.db" ]; then
  # Its journal knows what it was told.
  exec ${UNINET:-uninet} search --resume "$folder"
fi
exec ${UNINET:-uninet} search --out "$folder" "$@"
