// Verifies an export bundle with the Go team's own code (golang.org/x/mod/sumdb):
//
//	go run verify.go FOLDER [VKEY]
//
// FOLDER holds `checkpoint`, `log.vkey`, `tile/0/...` and `tile/entries/...` (c2sp.org/tlog-tiles).
// VKEY is the file with the log's key as you keep it; without it the bundle's own is taken.
// Debian: golang-go, golang-golang-x-mod-dev, GO111MODULE=off GOPATH=/usr/share/gocode.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// stored are the tree's hashes as tlog numbers them.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = s[index]
	}
	return hashes, nil
}

func fail(why ...interface{}) {
	fmt.Fprintln(os.Stderr, "NOT VERIFIED:", fmt.Sprint(why...))
	os.Exit(1)
}

func must(data []byte, err error) []byte {
	if err != nil {
		fail(err)
	}
	return data
}

// read gives the file of up to 256 items whose first has this index; nil if it is not there.
func read(folder, kind string, first int64, width int) []byte {
	path := tlog.Tile{H: 8, L: 0, N: first / 256, W: width}.Path()
	path = strings.Replace(path, "tile/8/0/", "tile/"+kind+"/", 1)
	data, err := os.ReadFile(filepath.Join(folder, path))
	if os.IsNotExist(err) {
		return nil
	}
	return must(data, err)
}

func main() {
	if len(os.Args) < 2 {
		fail("name the bundle's folder")
	}
	folder := os.Args[1]
	vkey := filepath.Join(folder, "log.vkey")
	if len(os.Args) > 2 {
		vkey = os.Args[2]
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(must(os.ReadFile(vkey)))))
	if err != nil {
		fail(vkey, ": ", err)
	}
	signed := must(os.ReadFile(filepath.Join(folder, "checkpoint")))
	checkpoint, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		fail("checkpoint: ", err)
	}
	lines := strings.Split(checkpoint.Text, "\n")
	if len(lines) < 4 {
		fail("checkpoint: too few lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		fail("checkpoint: the size is not a number")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		fail("checkpoint: ", err)
	}

	var hashes stored
	minimum := int64(-1)
	for first := int64(0); first < size; first += 256 {
		width := 256
		if size-first < 256 {
			width = int(size - first)
		}
		bundle, tile := read(folder, "entries", first, width), read(folder, "0", first, width)
		if bundle == nil && (tile == nil || minimum >= 0) {
			fail("the entries from ", first, " on are missing")
		}
		if bundle != nil && minimum < 0 {
			minimum = first
		}
		for at := first; at < first+int64(width); at++ {
			var leaf tlog.Hash
			if bundle != nil {
				if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
					fail("entry ", at, " is missing or cut off")
				}
				end := 2 + int(binary.BigEndian.Uint16(bundle))
				leaf, bundle = tlog.RecordHash(bundle[2:end]), bundle[end:]
			}
			if tile != nil {
				if len(tile) < tlog.HashSize {
					fail("the hash of entry ", at, " is missing")
				}
				var kept tlog.Hash
				copy(kept[:], tile)
				tile = tile[tlog.HashSize:]
				if bundle != nil && leaf != kept {
					fail("entry ", at, " is not what its hash in tile/0 says")
				}
				leaf = kept
			}
			more, err := tlog.StoredHashesForRecordHash(at, leaf, hashes)
			if err != nil {
				fail(err)
			}
			hashes = append(hashes, more...)
		}
		if len(bundle)+len(tile) > 0 {
			fail("there is more after entry ", first+int64(width)-1, " than the checkpoint counts")
		}
	}
	computed := tlog.Hash(sha256.Sum256(nil)) // the root over nothing, which old tlogs do not know
	if size > 0 {
		if computed, err = tlog.TreeHash(size, hashes); err != nil {
			fail(err)
		}
	}
	if computed != root {
		fail("the entries are not those of the signed root")
	}
	if minimum < 0 {
		minimum = size
	}
	fmt.Printf("VERIFIED: %s, %d entries (%d pruned to hashes)\n", lines[0], size, minimum)
}
