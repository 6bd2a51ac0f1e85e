// Package function is the Lambda function: it turns an invocation into messages,
// provisions the key that each asks for, and reports what became of them.
//
// It guarantees that every message of a batch is accounted for exactly once in the
// answer, in the log and, where a bus is configured, in the outcome events; that a
// message counts as done only when its event was accepted and, where it was rejected, a
// dead-letter queue has it; that the answer is given before the invocation's deadline;
// and that nothing it writes holds a key's value, but for the body of a rejected message,
// which goes to the dead-letter queue as its sender wrote it.
//
// Messages are handled one after the other: at the rates that API Gateway allows,
// nothing is gained by more (package pace), and a delivery stays a straight line.
//
//	log := function.NewLogger(os.Stdout, version)
//	handler := function.New(cfg, settings, log)
//	lambda.Start(handler)
package function

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"createkey/internal/apikey"
	"createkey/internal/awserr"
	"createkey/internal/envelope"
	"createkey/internal/failure"
	"createkey/internal/pace"
	"createkey/internal/provision"
)

// Handler answers the invocations of one execution environment, one at a time, as
// Lambda sends them. Use [New].
type Handler struct {
	settings    Settings
	pacer       *pace.Pacer
	Provisioner *provision.Provisioner // its Random and Now are for tests to set
	events      eventsAPI              // nil: no outcome events
	deadLetters deadLetterAPI          // nil: no dead-letter queue to send to
	services    []service              // for Connect
	log         *slog.Logger
}

// New returns a Handler whose AWS clients are made from cfg. It makes no call.
func New(cfg aws.Config, s Settings, log *slog.Logger) *Handler {
	pacer := pace.New(s.CreateKeyRate)
	cfg.APIOptions = append(slices.Clip(cfg.APIOptions), awserr.KeepAnswer, traceCalls) // of every client
	keys := apigateway.NewFromConfig(cfg, func(o *apigateway.Options) {
		o.APIOptions = append(o.APIOptions, pacer.Apply)
	})
	secrets := secretsmanager.NewFromConfig(cfg)
	provisioner := provision.New(keys, secrets)
	provisioner.DefaultPlan, provisioner.KMSKeyID, provisioner.ResourceTags = s.UsagePlanID, s.KMSKeyID, s.ResourceTags
	h := &Handler{settings: s, pacer: pacer, Provisioner: provisioner, log: log}
	h.services = []service{keysService(keys.Options()), secretsService(secrets.Options())}
	if s.OutcomeBus != "" {
		bus := eventbridge.NewFromConfig(cfg)
		h.events, h.services = bus, append(h.services, busService(bus.Options()))
	}
	if s.DeadLetterQueueURL != "" {
		queue := sqs.NewFromConfig(cfg)
		h.deadLetters, h.services = queue, append(h.services, deadLetterService(queue.Options()))
	}
	return h
}

// Invoke handles one invocation: it decodes the payload into messages, works on each,
// announces the outcomes on the bus, sets aside the rejected messages of a queue, logs the
// outcomes, and answers in the form that the payload's sender expects. Its error is a
// *failure.RejectedError or a *failure.RetryableError; that of an SQS batch is of the
// batch as a whole.
func (h *Handler) Invoke(ctx context.Context, payload []byte) (response []byte, err error) {
	err = guard(func() error {
		response, err = h.invoke(ctx, payload)
		return err
	})
	return response, err
}

func (h *Handler) invoke(ctx context.Context, payload []byte) ([]byte, error) {
	requestID := "" // of the invocation; there is none outside of Lambda
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		requestID = lc.AwsRequestID
	}
	ctx, cancel := withReserve(ctx, answerReserve, true)
	defer cancel()

	batch, err := decode(payload, requestID)
	canSetAside := h.deadLetters != nil && batch.Kind == envelope.SQS
	announcing, cancel := withReserve(ctx, deadLetterReserve, canSetAside)
	defer cancel()
	working, cancel := withReserve(announcing, busReserve, h.events != nil)
	defer cancel()

	outcomes := []outcome{{messageID: requestID, err: err}}
	if err == nil {
		outcomes = h.work(working, batch.Messages)
	}
	h.announce(announcing, outcomes)
	if canSetAside {
		h.setAside(ctx, batch.Messages, outcomes)
	}
	blockGroups(batch.Messages, outcomes, canSetAside)
	h.report(ctx, outcomes)
	return answer(batch, outcomes)
}

func decode(payload []byte, requestID string) (batch envelope.Batch, err error) {
	err = guard(func() error {
		batch, err = envelope.Decode(payload, requestID)
		return err
	})
	return batch, err
}

// work handles the messages one after the other, while there is time left.
func (h *Handler) work(ctx context.Context, messages []envelope.Message) []outcome {
	h.Provisioner.ForgetLists() // the lists that the invocation before has read
	outcomes := make([]outcome, len(messages))
	blocked := map[string]bool{} // message groups with a message that is to come again
	for i, m := range messages {
		outcomes[i] = h.handle(ctx, m, i == 0, m.Ordered && blocked[m.Group])
		blocked[m.Group] = blocked[m.Group] || outcomes[i].retried()
	}
	return outcomes
}

// handle takes one message from its document to its outcome. blocked says that an
// earlier message of its group is to come again, so that this one has to wait.
func (h *Handler) handle(ctx context.Context, m envelope.Message, first, blocked bool) (o outcome) {
	ctx = withTrace(ctx, h.settings.Debug)
	start := time.Now()
	o.messageID, o.customerID, o.name = m.ID, m.Marketplace.CustomerID, m.Marketplace.ProductCode
	o.marketplace = m.Marketplace
	err := guard(func() error {
		if !m.HasRequest() {
			return m.Err
		}
		request, secretName, err := h.parse(m)
		o.customerID, o.name, o.secretName = request.CustomerID, request.Name, secretName
		if err = failure.Join(m.Err, err); err != nil {
			return err
		}
		if blocked {
			return failure.Retry("not started: an earlier message of its group is to come again")
		}
		if !h.admit(ctx, request, first) {
			return failure.Retry("not started: too little time is left")
		}
		o.result, err = h.Provisioner.Provision(ctx, request, secretName)
		if err == nil {
			o.note = planNote(request, o.result)
		}
		return err
	})
	o.err = failure.Bound(err)
	o.duration, o.calls = time.Since(start), tracedCalls(ctx)
	return o
}

// parse reads the request of a message, as it was sent and by what carried it.
func (h *Handler) parse(m envelope.Message) (request apikey.Request, secretName string, err error) {
	if m.Kind == apikey.SignUp {
		request, secretName, err = apikey.Parse(m.Request, h.settings.SecretPrefix, m.DeliveryID)
		request.Time, request.ProductCode, request.AddedTags = m.Time, m.Marketplace.ProductCode, m.Marketplace.Tags()
	} else {
		request, secretName, err = apikey.ParseChange(m.Request, m.Kind, m.Time, h.settings.SecretPrefix)
	}
	if m.Marketplace.ProductCode != "" {
		request.Agreement, request.License = m.Marketplace.Agreement, m.Marketplace.License
	}
	return request, secretName, err
}

// admit reports whether there is time for a message's API Gateway calls. The first
// message of an invocation is started however many calls it makes, or one with ten
// usage plans never would be at the lowest rate.
func (h *Handler) admit(ctx context.Context, r apikey.Request, first bool) bool {
	calls := 1
	if !first {
		calls = h.Provisioner.Calls(r)
	}
	return h.pacer.Admit(ctx, calls)
}

// blockGroups marks as retried what was done behind a message of the same FIFO group
// that is to come again. They were handled in order; but the bus may not have accepted an
// event since, or the dead-letter queue a rejected message: that message comes again, and so
// do those behind it. Where the function knows no dead-letter queue, SQS moves a rejected
// message there by its receive count, and nobody waits for it.
func blockGroups(messages []envelope.Message, outcomes []outcome, canSetAside bool) {
	blocked := map[string]bool{}
	for i, m := range messages {
		if o := &outcomes[i]; m.Ordered {
			if blocked[m.Group] && o.err == nil {
				o.err = failure.Retry("not done: an earlier message of its group is to come again")
			}
			blocked[m.Group] = blocked[m.Group] || o.retried() || canSetAside && o.err != nil && !o.setAside
		}
	}
}

// answerReserve is the time kept back for the answer.
const answerReserve = time.Second

// withReserve returns a context whose deadline is earlier by a reserve that is needed, or
// by a fifth of the time that is left where that is less.
func withReserve(ctx context.Context, reserve time.Duration, needed bool) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || !needed {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(reserve, time.Until(deadline)/5)))
}
