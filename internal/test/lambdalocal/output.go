package lambdalocal

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
)

const (
	maxTail = 4 << 10 // Invoke: "the last 4 KB of the execution log"
	maxPipe = 1 << 20 // more than a pipe can hold, by default, on Linux and macOS
)

// An output reads what one environment writes: it keeps the end and passes everything on.
//
// What the child wrote before it asks for work is in the pipe when the request arrives, but
// may not have been read yet. So each pipe has two readers: a goroutine that waits for data,
// so that the child does not block on a full pipe, and drain, which takes what is there. That
// needs reads that do not block, which os.File does not offer.
type output struct {
	stdout, stderr *stream
	pumps          sync.WaitGroup

	mu   *sync.Mutex // shared by all environments, for their writers are
	tail []byte
}

// A stream is one pipe.
type stream struct {
	out  *output
	r, w *os.File
	conn syscall.RawConn // r's
	to   io.Writer       // may be nil
	buf  [32 << 10]byte
}

// newOutput makes the pipes. The caller gives the streams' w to the child, then calls started
// and, when the child is gone, close.
func newOutput(mu *sync.Mutex, stdout, stderr io.Writer) (*output, error) {
	o := &output{mu: mu}
	var err error
	if o.stdout, err = newStream(o, stdout); err != nil {
		return nil, err
	}
	if o.stderr, err = newStream(o, stderr); err != nil {
		_ = o.stdout.r.Close()
		_ = o.stdout.w.Close()
		return nil, err
	}
	return o, nil
}

func newStream(o *output, to io.Writer) (*stream, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	conn, err := r.SyscallConn()
	if err != nil {
		_ = r.Close()
		_ = w.Close()
		return nil, err
	}
	return &stream{out: o, r: r, w: w, conn: conn, to: to}, nil
}

// started leaves the pipes' write ends to the child and starts reading.
func (o *output) started() {
	for _, s := range []*stream{o.stdout, o.stderr} {
		_ = s.w.Close()
		o.pumps.Go(s.pump)
	}
}

// drain reads all that the child has written so far.
func (o *output) drain() {
	o.stdout.drain()
	o.stderr.drain()
}

// close drains and ends the output. It does not wait for the end of the pipes, which a
// process that left the child's group could delay forever.
func (o *output) close() {
	o.drain()
	_ = o.stdout.r.Close()
	_ = o.stderr.r.Close()
	o.pumps.Wait()
}

// takeTail returns the last 4 KB since the last takeTail.
func (o *output) takeTail() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	tail := o.tail
	o.tail = nil
	return tail
}

// pump reads until the pipe's end.
func (s *stream) pump() {
	for ended := false; !ended; {
		err := s.conn.Read(func(fd uintptr) bool {
			n, err := s.read(fd)
			ended = n <= 0 && !errors.Is(err, syscall.EAGAIN)
			return n > 0 || ended // false: wait for more
		})
		ended = ended || err != nil // closed
	}
}

func (s *stream) drain() {
	_ = s.conn.Control(func(fd uintptr) { // fails only where the pipe is closed: nothing to read
		for total := 0; total < maxPipe; {
			n, _ := s.read(fd)
			if n <= 0 {
				return
			}
			total += n
		}
	})
}

// read reads once without blocking and passes on what it got. It does both under the lock, to
// keep the order.
func (s *stream) read(fd uintptr) (int, error) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	n, err := syscall.Read(int(fd), s.buf[:])
	for errors.Is(err, syscall.EINTR) {
		n, err = syscall.Read(int(fd), s.buf[:])
	}
	if n > 0 {
		p := s.buf[:n]
		if s.to != nil {
			_, _ = s.to.Write(p) // a failing reader must not disturb the child
		}
		s.out.tail = append(s.out.tail, p...)
		if over := len(s.out.tail) - maxTail; over > 0 {
			s.out.tail = append([]byte(nil), s.out.tail[over:]...)
		}
	}
	return n, err
}
