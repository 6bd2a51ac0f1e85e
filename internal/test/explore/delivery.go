package explore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	gateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	secrets "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"createkey/internal/apikey"
	"createkey/internal/provision"
)

type call uint8

const (
	createSecret call = iota
	getSecretValue
	putSecretValue
	createAPIKey
	getAPIKeys
	getAPIKey
	updateAPIKey
	createUsagePlanKey
	getUsagePlanKey
	getUsagePlan
	getUsagePlans
	getUsagePlansOfKey
)

var callNames = [...]string{"CreateSecret", "GetSecretValue", "PutSecretValue", "CreateApiKey", "GetApiKeys", "GetApiKey", "UpdateApiKey",
	"CreateUsagePlanKey", "GetUsagePlanKey", "GetUsagePlan", "GetUsagePlans", "GetUsagePlans of the key"}

// An operation is a delivery's call, with its arguments.
type operation struct {
	call   call
	secret string // name or ARN
	record text
	wrote  string // the record, for the history
	token  text
	input  text // CreateApiKey's
	value  value
	key    int8
	plan   int8
	prefix string // GetApiKeys' nameQuery
	values bool   // GetApiKeys' includeValues
	enable bool   // UpdateApiKey's

	// The error codes on which the call's own retryer retries.
	retriesNotFound bool
}

func (o *operation) String() string {
	detail := ""
	switch o.call {
	case createSecret:
		detail = " " + o.wrote
	case createAPIKey:
		detail = " " + o.value.String()
	case getAPIKey, updateAPIKey:
		detail = " " + keyID(o.key)
	case createUsagePlanKey, getUsagePlanKey:
		detail = " " + planID(int(o.plan)) + " " + keyID(o.key)
	case getUsagePlan:
		detail = " " + planID(int(o.plan))
	case putSecretValue:
		detail = " " + o.wrote
		if o.secret == secretName {
			detail += ", by name"
		}
	case getAPIKeys:
		detail = " whose names begin with " + fmt.Sprintf("%q", o.prefix)
	}
	return callNames[o.call] + detail
}

// An observation is all that a delivery sees of an answer.
type observation struct {
	code   code
	record text
	life   int8
	keys   [4]key // as far as the call shows them
}

type code uint8

const (
	fine       code = iota
	incomplete      // success with an empty answer
	lost            // no answer
	throttled
	notFound
	conflict
	exists
	invalid // InvalidRequestException: scheduled for deletion; of API Gateway, BadRequestException
)

var codeNames = [...]string{"ok", "ok, but the answer is incomplete", "no answer", "refused", "NotFound", "Conflict", "ResourceExists", "refused as invalid"}

// A message is one that is delivered.
type message struct {
	name    string // A or B
	request apikey.Request
	value   value  // the explicit one; 0: none
	digest  string // what the tag createkey:request says
	plans   uint8  // of its key
	bit     uint8  // its place in the scene
}

// A delivery is a delivery after some answers: it either makes the next call or has ended. What
// it does depends on its answers alone, so it is computed once, by running the shipped code from
// the start against the answers so far. It is a node in the tree of answers.
type delivery struct {
	id      int32
	slot    int8
	message *message
	clock   int8
	answers []answer
	next    *operation // nil: it has ended
	result  provision.Result
	err     error
	after   map[observation]*delivery
}

type answer struct {
	operation *operation
	seen      observation
	output    any
	err       error
}

// saw reports whether a call of the delivery was answered with one of the codes.
func (d *delivery) saw(c call, codes ...code) bool { return d.times(c, codes...) > 0 }

// times counts the delivery's calls that were answered with one of the codes.
func (d *delivery) times(c call, codes ...code) (n int) {
	for _, a := range d.answers {
		if a.operation.call == c && slices.Contains(codes, a.seen.code) {
			n++
		}
	}
	return n
}

// root returns a delivery before its first call.
func (e *explorer) root(slot int8, m *message, clock int8) *delivery {
	at := rootOf{slot, m, clock}
	d := e.roots[at]
	if d == nil {
		d = &delivery{slot: slot, message: m, clock: clock}
		e.run(d)
		e.roots[at] = d
	}
	return d
}

type rootOf struct {
	slot    int8
	message *message
	clock   int8
}

// answer returns the delivery after the answer to its next call.
func (e *explorer) answer(d *delivery, seen observation) *delivery {
	next := d.after[seen]
	if next == nil {
		output, err := e.output(d.next, seen)
		next = &delivery{slot: d.slot, message: d.message, clock: d.clock}
		next.answers = append(append(next.answers, d.answers...), answer{d.next, seen, output, err})
		e.run(next)
		if d.after == nil {
			d.after = map[observation]*delivery{}
		}
		d.after[seen] = next
	}
	return next
}

var errStop = errors.New("no answers left")

// run executes the shipped code up to the first call that has no answer yet.
func (e *explorer) run(d *delivery) {
	d.id = int32(len(e.deliveries))
	e.deliveries = append(e.deliveries, d)
	e.executions++
	s := &script{explorer: e, delivery: d}
	p := provision.New(s, s)
	p.DefaultPlan = e.scene.defaultPlan
	p.Random = randomOf(d.slot)
	p.Now = func() time.Time { return moment(d.clock) }
	p.Sleep = func(context.Context, time.Duration) bool { return true }
	defer func() {
		if thrown := recover(); thrown != nil && thrown != errStop { //nolint:errorlint // the very value
			d.next, d.err = nil, fmt.Errorf("panics: %v", thrown)
		}
	}()
	d.result, d.err = p.Provision(context.Background(), d.message.request, secretName)
}

func randomOf(slot int8) io.Reader {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(slot)+1)
	return rand.NewChaCha8(seed)
}

// A script answers a delivery's calls from the answers so far.
type script struct {
	explorer *explorer
	delivery *delivery
	next     int
}

func reply[Output any](s *script, o operation) (*Output, error) {
	if s.next == len(s.delivery.answers) {
		s.delivery.next = &o
		panic(errStop)
	}
	a := s.delivery.answers[s.next]
	if *a.operation != o {
		panic(fmt.Sprintf("the delivery is not deterministic: it made the call %v, and now %v", a.operation, &o))
	}
	s.next++
	output, _ := a.output.(*Output)
	return output, a.err
}

var standard = retry.NewStandard()

func (s *script) secretOperation(o operation, options []func(*secretsmanager.Options)) operation {
	called := secretsmanager.Options{Retryer: standard}
	for _, option := range options {
		option(&called)
		o.retriesNotFound = called.Retryer.IsErrorRetryable(&secrets.ResourceNotFoundException{})
	}
	return o
}

func (s *script) writes(o operation, record *string) operation {
	o.record = s.explorer.text(aws.ToString(record))
	o.wrote = s.explorer.show(o.record)
	return o
}

// token returns the caller's token or, like the SDK, a new one for this call.
func (s *script) token(given *string) text {
	if given != nil {
		return s.explorer.text(*given)
	}
	return s.explorer.text(fmt.Sprintf("call %d of delivery %d at %d", s.next, s.delivery.slot, s.delivery.clock))
}

func (s *script) CreateSecret(_ context.Context, in *secretsmanager.CreateSecretInput, options ...func(*secretsmanager.Options)) (*secretsmanager.CreateSecretOutput, error) {
	return reply[secretsmanager.CreateSecretOutput](s, s.secretOperation(s.writes(operation{call: createSecret,
		secret: aws.ToString(in.Name), token: s.token(in.ClientRequestToken)}, in.SecretString), options))
}

func (s *script) GetSecretValue(_ context.Context, in *secretsmanager.GetSecretValueInput, options ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	return reply[secretsmanager.GetSecretValueOutput](s, s.secretOperation(operation{call: getSecretValue,
		secret: aws.ToString(in.SecretId)}, options))
}

func (s *script) PutSecretValue(_ context.Context, in *secretsmanager.PutSecretValueInput, options ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error) {
	return reply[secretsmanager.PutSecretValueOutput](s, s.secretOperation(s.writes(operation{call: putSecretValue,
		secret: aws.ToString(in.SecretId), token: s.token(in.ClientRequestToken)}, in.SecretString), options))
}

func (s *script) CreateApiKey(_ context.Context, in *apigateway.CreateApiKeyInput, _ ...func(*apigateway.Options)) (*apigateway.CreateApiKeyOutput, error) { //nolint:revive // the SDK's name
	return reply[apigateway.CreateApiKeyOutput](s, operation{call: createAPIKey,
		input: s.explorer.input(in), value: s.explorer.value(aws.ToString(in.Value))})
}

func (s *script) GetApiKey(_ context.Context, in *apigateway.GetApiKeyInput, _ ...func(*apigateway.Options)) (*apigateway.GetApiKeyOutput, error) { //nolint:revive // the SDK's name
	return reply[apigateway.GetApiKeyOutput](s, operation{call: getAPIKey, key: keyIndex(aws.ToString(in.ApiKey))})
}

func (s *script) UpdateApiKey(_ context.Context, in *apigateway.UpdateApiKeyInput, _ ...func(*apigateway.Options)) (*apigateway.UpdateApiKeyOutput, error) { //nolint:revive // the SDK's name
	o := operation{call: updateAPIKey, key: keyIndex(aws.ToString(in.ApiKey))}
	for _, p := range in.PatchOperations {
		o.enable = o.enable || p.Op != gateway.OpReplace || aws.ToString(p.Path) != "/enabled" || aws.ToString(p.Value) != "false"
	}
	return reply[apigateway.UpdateApiKeyOutput](s, o)
}

func (s *script) GetApiKeys(_ context.Context, in *apigateway.GetApiKeysInput, _ ...func(*apigateway.Options)) (*apigateway.GetApiKeysOutput, error) { //nolint:revive // the SDK's name
	return reply[apigateway.GetApiKeysOutput](s, operation{call: getAPIKeys,
		prefix: aws.ToString(in.NameQuery), values: aws.ToBool(in.IncludeValues)})
}

func (s *script) CreateUsagePlanKey(_ context.Context, in *apigateway.CreateUsagePlanKeyInput, _ ...func(*apigateway.Options)) (*apigateway.CreateUsagePlanKeyOutput, error) {
	return reply[apigateway.CreateUsagePlanKeyOutput](s, operation{call: createUsagePlanKey,
		plan: int8(planIndex(aws.ToString(in.UsagePlanId))), key: keyIndex(aws.ToString(in.KeyId))})
}

func (s *script) GetUsagePlanKey(_ context.Context, in *apigateway.GetUsagePlanKeyInput, _ ...func(*apigateway.Options)) (*apigateway.GetUsagePlanKeyOutput, error) {
	return reply[apigateway.GetUsagePlanKeyOutput](s, operation{call: getUsagePlanKey,
		plan: int8(planIndex(aws.ToString(in.UsagePlanId))), key: keyIndex(aws.ToString(in.KeyId))})
}

func (s *script) GetUsagePlan(_ context.Context, in *apigateway.GetUsagePlanInput, _ ...func(*apigateway.Options)) (*apigateway.GetUsagePlanOutput, error) {
	return reply[apigateway.GetUsagePlanOutput](s, operation{call: getUsagePlan,
		plan: int8(planIndex(aws.ToString(in.UsagePlanId)))})
}

func (s *script) GetUsagePlans(_ context.Context, in *apigateway.GetUsagePlansInput, _ ...func(*apigateway.Options)) (*apigateway.GetUsagePlansOutput, error) {
	if in.KeyId != nil {
		return reply[apigateway.GetUsagePlansOutput](s, operation{call: getUsagePlansOfKey, key: keyIndex(*in.KeyId)})
	}
	return reply[apigateway.GetUsagePlansOutput](s, operation{call: getUsagePlans})
}

// theirKey is a foreign key that is in every list: with the same name and another value.
var theirKey = gateway.ApiKey{Id: aws.String("theirs"), Name: aws.String("Gold"), Value: aws.String("a value of somebody else's")}

// productCode is the AWS Marketplace product of the second plan.
const productCode = "product"

// output converts an observation to the SDK's output and error.
func (e *explorer) output(o *operation, seen observation) (any, error) {
	onKeys := o.call >= createAPIKey
	switch seen.code {
	case lost:
		return nil, context.DeadlineExceeded
	case throttled:
		if onKeys {
			return nil, &gateway.LimitExceededException{}
		}
		return nil, &secrets.LimitExceededException{}
	case notFound:
		if onKeys {
			return nil, &gateway.NotFoundException{}
		}
		return nil, &secrets.ResourceNotFoundException{}
	case conflict:
		return nil, &gateway.ConflictException{}
	case exists:
		return nil, &secrets.ResourceExistsException{}
	case invalid:
		if onKeys {
			return nil, &gateway.BadRequestException{}
		}
		return nil, &secrets.InvalidRequestException{Message: aws.String("scheduled for deletion")}
	}
	whole := func(s string) *string {
		if seen.code == incomplete {
			return nil
		}
		return &s
	}
	switch o.call {
	case createSecret:
		return &secretsmanager.CreateSecretOutput{ARN: whole(arn(seen.life))}, nil
	case getSecretValue:
		return &secretsmanager.GetSecretValueOutput{ARN: whole(arn(seen.life)), SecretString: whole(e.texts[seen.record])}, nil
	case putSecretValue:
		return &secretsmanager.PutSecretValueOutput{ARN: whole(arn(seen.life)), VersionId: whole("version")}, nil
	case createAPIKey, getAPIKey:
		var out apigateway.GetApiKeyOutput
		if seen.life != 0 {
			out = apigateway.GetApiKeyOutput{Id: theirKey.Id, Name: theirKey.Name}
		}
		for i, k := range seen.keys {
			if k.input != 0 {
				out = e.describe(int8(i), k)
			}
		}
		if o.call == createAPIKey {
			return (*apigateway.CreateApiKeyOutput)(&out), nil
		}
		return &out, nil
	case getAPIKeys:
		list := &apigateway.GetApiKeysOutput{}
		for i, k := range append([]key{{}}, seen.keys[:]...) {
			item := theirKey
			if i > 0 && k.input == 0 {
				continue
			} else if i > 0 {
				described := e.describe(int8(i-1), k)
				item = gateway.ApiKey{Id: described.Id, Name: described.Name, Value: described.Value}
			}
			if !o.values {
				item.Value = nil
			}
			if strings.HasPrefix(aws.ToString(item.Name), o.prefix) {
				list.Items = append(list.Items, item)
			}
		}
		return list, nil
	case updateAPIKey:
		return &apigateway.UpdateApiKeyOutput{Id: whole(keyID(o.key))}, nil
	case createUsagePlanKey:
		return &apigateway.CreateUsagePlanKeyOutput{Id: whole(keyID(o.key))}, nil
	case getUsagePlanKey:
		return &apigateway.GetUsagePlanKeyOutput{Id: whole(keyID(o.key))}, nil
	case getUsagePlan:
		return &apigateway.GetUsagePlanOutput{Id: whole(planID(int(o.plan)))}, nil
	default:
		list := &apigateway.GetUsagePlansOutput{}
		for i := range planCount {
			plan := gateway.UsagePlan{Id: aws.String(planID(i))}
			if i == planCount-1 {
				plan.ProductCode = aws.String(productCode)
			}
			if seen.life&(1<<i) != 0 {
				list.Items = append(list.Items, plan)
			}
		}
		return list, nil
	}
}

// describe returns a key as API Gateway describes it.
func (e *explorer) describe(i int8, k key) apigateway.GetApiKeyOutput {
	in := e.inputs[k.input]
	out := apigateway.GetApiKeyOutput{
		Id: aws.String(keyID(i)), Name: in.Name, Description: in.Description, CustomerId: in.CustomerId, Value: in.Value,
		Enabled: in.Enabled && !k.disabled && !k.stopped, Tags: in.Tags,
		CreatedDate: aws.Time(moment(k.created)), LastUpdatedDate: aws.Time(moment(k.created)),
	}
	for _, s := range in.StageKeys {
		out.StageKeys = append(out.StageKeys, aws.ToString(s.RestApiId)+"/"+aws.ToString(s.StageName))
	}
	if k.untagged {
		out.Tags = nil
	}
	return out
}
