package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"createkey/internal/apikey"
	"createkey/internal/awserror"
	"createkey/internal/event"
	"createkey/internal/eventbridge"
	"createkey/internal/failure"
	"createkey/internal/pace"
	"createkey/internal/provision"
)

// handler answers invocations. One serves all invocations of an environment.
type handler struct {
	settings    settings
	pacer       *pace.Pacer
	provisioner *provision.Provisioner
	events      eventsAPI // nil: nobody is told
	services    []service // that are called
	log         *slog.Logger
}

func newHandler(cfg aws.Config, s settings, output io.Writer) *handler {
	pacer := pace.New(s.CreateKeyRate)
	cfg.APIOptions = append(slices.Clip(cfg.APIOptions), awserror.KeepAnswer, traceCalls) // of every client
	keys := apigateway.NewFromConfig(cfg, func(o *apigateway.Options) {
		o.APIOptions = append(o.APIOptions, pacer.Apply)
	})
	secrets := secretsmanager.NewFromConfig(cfg)
	provisioner := provision.New(keys, secrets)
	provisioner.DefaultPlan, provisioner.KMSKeyID = s.UsagePlanID, s.KMSKeyID
	h := &handler{settings: s, pacer: pacer, provisioner: provisioner, log: newLogger(output)}
	h.services = []service{keysService(keys.Options()), secretsService(secrets.Options())}
	if s.OutcomeBus != "" {
		bus := eventbridge.New(cfg)
		h.events, h.services = bus, append(h.services, service{bus.HTTPClient(), bus.Endpoint})
	}
	return h
}

// Invoke handles one invocation: it decodes the payload into messages, handles
// each of them, tells their outcomes to the bus and the log, and answers in the
// form that the payload's sender wants.
func (h *handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	requestID := "" // of the invocation; there is none outside of Lambda
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		requestID = lc.AwsRequestID
	}
	ctx, cancel := withReserve(ctx, answerReserve)
	defer cancel()
	batch, err := event.Decode(payload, requestID)
	outcomes := []outcome{{messageID: requestID, err: err}}
	if err == nil {
		outcomes = h.handleAll(ctx, batch)
	}
	h.announce(ctx, outcomes)
	keepOrder(batch.Messages, outcomes)
	h.report(ctx, outcomes)
	return answer(batch, outcomes)
}

// handle takes one message from its document to its outcome.
func (h *handler) handle(ctx context.Context, m event.Message) (o outcome) {
	ctx = withTrace(ctx, h.settings.Debug)
	start := time.Now()
	o.messageID, o.customerID, o.name = m.ID, m.SignUp.CustomerID, m.SignUp.Name
	defer func() {
		if p := recover(); p != nil {
			o.err = failure.Retry("internal error: panic in %s", panicSite())
		}
		o.err = failure.Bound(o.err)
		o.duration, o.calls = time.Since(start), tracedCalls(ctx)
	}()

	if o.err = m.Err; o.err != nil {
		return o
	}
	var request apikey.Request
	request, o.secretName, o.err = apikey.Parse(m.Request, h.settings.SecretPrefix, m.DeliveryID)
	o.customerID, o.name = request.CustomerID, request.Name
	if o.err != nil {
		return o
	}
	request.ProductCode, request.AddedTags = m.SignUp.ProductCode, m.SignUp.Tags
	done, ok := h.pacer.Admit(ctx, h.provisioner.Calls(request))
	if !ok {
		o.err = failure.Retry("not started: too little time is left")
		return o
	}
	defer done()
	if o.result, o.err = h.provisioner.Provision(ctx, request, o.secretName); o.err == nil {
		o.note = planNote(request, o.result.Key)
	}
	return o
}

// outcome is what became of one message.
type outcome struct {
	messageID  string
	customerID string
	name       string // that the request gives its key
	secretName string
	result     provision.Result
	err        error  // nil, *failure.RejectedError or *failure.RetryableError
	note       string // what an operator should know of a message that is done
	duration   time.Duration
	calls      []tracedCall // for LOG_LEVEL=DEBUG
}

// final tells whether the message's next delivery could only repeat the outcome.
func (o outcome) final() bool {
	var rejected *failure.RejectedError
	return o.err == nil || errors.As(o.err, &rejected)
}

// String names the outcome as the log, the metrics and the events do.
func (o outcome) String() string {
	var rejected *failure.RejectedError
	switch {
	case o.err == nil:
		return string(o.result.Status)
	case errors.As(o.err, &rejected):
		return "rejected"
	}
	return "retried"
}
