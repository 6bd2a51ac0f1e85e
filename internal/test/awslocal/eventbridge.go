package awslocal

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// An Event is an event that a bus has accepted.
type Event struct {
	Bus        string // its name
	ID         string
	Source     string
	DetailType string
	Detail     string // JSON, as sent
	Resources  []string
	Taken      time.Time
}

// defaultBus is every account's own.
const defaultBus = "default"

// The limits of PutEvents
// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html).
const (
	maxEventEntries = 10
	maxEventBytes   = 1 << 20 // inclusive
)

var eventBridge = service{
	name:        "events",
	contentType: "application/x-amz-json-1.1",
	find: func(r *http.Request) (operation, bool) {
		return operation{name: "PutEvents", status: http.StatusOK, run: (*Server).putEvents}, r.Header.Get("X-Amz-Target") == "AWSEvents.PutEvents"
	},
	describe: func(body []byte, c *Call) {
		var in struct {
			Entries []struct{ EventBusName string }
		}
		_ = json.Unmarshal(body, &in) // the operation reports malformed input
		if len(in.Entries) > 0 {
			c.Resource = busName(in.Entries[0].EventBusName)
		}
	},
	fault: func(e *Error) (int, any) {
		status := e.Status
		if status < 500 {
			status = http.StatusBadRequest
		}
		return status, map[string]string{"__type": e.Code, "message": e.Message}
	},
}

// busName returns the name of a bus that is given by name or by ARN.
func busName(given string) string {
	if _, name, ok := strings.Cut(given, ":event-bus/"); ok && strings.HasPrefix(given, "arn:") {
		return name
	}
	if given == "" {
		return defaultBus
	}
	return given
}

type eventEntry struct {
	EventBusName string
	Source       string
	DetailType   string
	Detail       string
	Resources    []string
}

type eventResult struct {
	EventID      string `json:"EventId,omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

// putEvents takes each entry separately: refusing one does not affect the others, and the call
// succeeds.
func (s *Server) putEvents(r *request) (any, error) {
	in, err := decode[struct{ Entries []eventEntry }](r.body)
	if err != nil {
		return nil, err
	}
	size := 0
	for _, e := range in.Entries {
		size += len(e.Source) + len(e.DetailType) + len(e.Detail) + len(strings.Join(e.Resources, ""))
	}
	switch n := len(in.Entries); {
	case n == 0:
		return nil, validation("1 validation error detected: Value '[]' at 'entries' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case n > maxEventEntries:
		return nil, validation(fmt.Sprintf("1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length less than or equal to %d", maxEventEntries))
	case size > maxEventBytes:
		return nil, validation("Total size of the entries in the request is over the limit.")
	}
	var answer struct {
		FailedEntryCount int
		Entries          []eventResult
	}
	for _, e := range in.Entries {
		id := s.newEventID()
		event := Event{busName(e.EventBusName), id, e.Source, e.DetailType, e.Detail, e.Resources, r.now}
		if fault := s.refuse(event); fault != nil {
			answer.FailedEntryCount++
			answer.Entries = append(answer.Entries, eventResult{ErrorCode: fault.Code, ErrorMessage: fault.Message})
			continue
		}
		// An event for an unknown bus is answered like any other, and lost.
		if s.Buses == nil || event.Bus == defaultBus || s.Buses[event.Bus] {
			s.events = append(s.events, event)
		}
		answer.Entries = append(answer.Entries, eventResult{EventID: id})
	}
	return answer, nil
}

// refuse returns the fault of an entry, or nil.
func (s *Server) refuse(e Event) *Error {
	for _, m := range []struct{ name, value string }{{"Source", e.Source}, {"DetailType", e.DetailType}, {"Detail", e.Detail}} {
		if m.value == "" {
			return entryFault("InvalidArgument", fmt.Sprintf("Parameter %[1]s is not valid. Reason: %[1]s is a required argument.", m.name))
		}
	}
	var object map[string]json.RawMessage
	switch {
	case json.Unmarshal([]byte(e.Detail), &object) != nil || object == nil:
		return entryFault("MalformedDetail", "Detail is malformed.")
	case strings.HasPrefix(e.Source, "aws."):
		return entryFault("NotAuthorizedForSourceException", "Not authorized for the source.")
	case s.RefuseEvent != nil:
		return s.RefuseEvent(e)
	}
	return nil
}

func entryFault(code, message string) *Error {
	return &Error{http.StatusOK, code, message} // the call as a whole succeeds
}

func (s *Server) newEventID() string {
	const hex = "0123456789abcdef"
	return s.random(8, hex) + "-" + s.random(4, hex) + "-" + s.random(4, hex) + "-" + s.random(4, hex) + "-" + s.random(12, hex)
}

// Events returns the events that buses have accepted, oldest first.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}
