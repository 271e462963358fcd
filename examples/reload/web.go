// A Go server that is reloaded without a lost request.
//
// It takes the socket that it is given, tells when it serves (READY_FD), and on SIGINT accepts no more connections and
// answers those that it has.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	l, err := net.FileListener(os.NewFile(3, "listen"))
	if err != nil {
		panic(err)
	}
	// A client that reads `close` sends its next request over a new connection: to the new version.
	var draining int32
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if atomic.LoadInt32(&draining) == 1 {
			w.Header().Set("Connection", "close")
		}
		fmt.Fprintf(w, "%s %d %s", os.Getenv("VERSION"), os.Getpid(), r.URL.Path)
	})}
	done := make(chan bool)
	go func() {
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt, syscall.SIGTERM)
		<-c
		atomic.StoreInt32(&draining, 1)
		l.Close()
		// Connections without a request are left open for a moment.
		time.Sleep(300 * time.Millisecond)
		server.Shutdown(context.Background())
		close(done)
	}()
	if fd, err := strconv.Atoi(os.Getenv("READY_FD")); err == nil {
		os.NewFile(uintptr(fd), "ready").WriteString("ready\n")
	}
	server.Serve(l)
	<-done
}
