package executable_test

import (
	"createkey/events"
	"createkey/internal/test/payload"
)

// request is a request as its sender writes it.
type request struct {
	CustomerID   string            `json:"customerId,omitempty"`
	Name         string            `json:"name,omitempty"`
	Description  string            `json:"description,omitempty"`
	Enabled      bool              `json:"enabled,omitempty"`
	Value        string            `json:"value,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	UsagePlanIDs []string          `json:"usagePlanIds,omitempty"`
}

// message is a message that carries a request.
type message struct {
	id      string
	request request
}

// form is the form in which messages are delivered.
type form int

const (
	viaSQS form = iota
	directly
	viaEventBridge
)

// payload returns what the function is invoked with. Only SQS carries several messages.
func (f form) payload(messages []message) []byte {
	switch first := messages[0]; f {
	case directly:
		return []byte(payload.JSON(first.request))
	case viaEventBridge:
		return []byte(payload.EventBridge(first.id, payload.JSON(first.request)))
	default:
		var batch []payload.Message
		for _, m := range messages {
			batch = append(batch, payload.Message{ID: m.id, Body: payload.JSON(m.request)})
		}
		return []byte(payload.SQS(payload.QueueARN, batch...))
	}
}

// requests are what the tests send. The fault sweep sends the first one.
var requests = []request{
	{CustomerID: "cust-1", Name: "Gold", Description: "Gold plan, yearly", Enabled: true,
		Tags: map[string]string{"team": "billing"}, UsagePlanIDs: []string{events.UsagePlanID}},
	{CustomerID: "cust-2", Name: "Gold", Enabled: true, UsagePlanIDs: []string{events.UsagePlanID}},
	{CustomerID: "cust-2", Name: "Silver", Enabled: true},
	{CustomerID: "cust-3", Name: "Own", Value: "ChosenByTheSender-f4k3-1"},
	{CustomerID: "cust-4", Name: "Own", Value: "AnotherSendersOwn-f4k3-2", UsagePlanIDs: []string{events.UsagePlanID}},
	{CustomerID: "cust-5", Tags: map[string]string{"a": "1", "b": "2"}},
	{Name: "Nobodys", Enabled: true},
	{CustomerID: "cust-6", Name: "Disabled"},
}
