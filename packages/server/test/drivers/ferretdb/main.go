// A server that speaks MongoDB's protocol, for tests: FerretDB on SQLite files.
//
//	server <directory> <address> <synchronous>
//
// Prints its URL, and ends when its standard input does, however the test that started it ends.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/FerretDB/FerretDB/ferretdb"
)

// Less often than by default: a server of tests is short of time and not of memory.
const garbagePercent = 300

func main() {
	directory, address, synchronous := os.Args[1], os.Args[2], os.Args[3]
	debug.SetGCPercent(garbagePercent)
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: address},
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Handler:   "sqlite",
		SQLiteURL: "file:" + directory + "/?_pragma=synchronous(" + synchronous + ")",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	running, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	go func() { fmt.Println(server.MongoDBURI()) }()
	if err := server.Run(running); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
