package explore

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"createkey/internal/apikey"
)

// The explicit values of messages.
const (
	valueX = "explicit-value-x-of-a-sender"
	valueY = "explicit-value-y-of-a-sender"
)

// refused is a description that API Gateway refuses although no validator can know.
const refused = "refused"

// content returns a request of the identity: only description, value and plans differ.
func content(description, explicit string, plans ...string) apikey.Request {
	return apikey.Request{
		Name: "Gold", CustomerID: "customer", Description: description, Enabled: true,
		Value: apikey.NewValue(explicit), Tags: map[string]string{"team": "sales"}, UsagePlanIDs: plans,
	}
}

func messages(a, b apikey.Request) []message {
	return []message{{name: "A", request: a, plans: plansOf(a.UsagePlanIDs)}, {name: "B", request: b, plans: plansOf(b.UsagePlanIDs)}}
}

// scenes returns all scenes. The first six are all ways in which two messages of one identity
// can differ.
func scenes() []*scene {
	plan, both := planID(0), []string{planID(0), planID(1)}
	generated, other := content("a", "", plan), content("b", "", plan)
	nameless := func(r apikey.Request) apikey.Request { r.Name = ""; return r }
	signUp := content("a", "")
	signUp.ProductCode, signUp.AddedTags = productCode, nil
	marketplace := messages(signUp, content("b", ""))
	marketplace[0].plans, marketplace[1].plans = 1<<1, 1<<0
	byDefault := messages(content("a", ""), content("a", "", both...))
	byDefault[0].plans = 1 << 0
	two := Bounds{Deliveries: 2, Faults: 1, Acts: 2, Passes: 1}
	return append(lives(), []*scene{
		{name: "both generated, other content", messages: messages(generated, other)},
		{name: "one explicit, same content", messages: messages(generated, content("a", valueX, plan))},
		{name: "one explicit, other content", messages: messages(generated, content("b", valueX, plan))},
		{name: "one explicit value, other content", messages: messages(content("a", valueX, plan), content("b", valueX, plan))},
		{name: "two explicit values, same content", messages: messages(content("a", valueX, plan), content("a", valueY, plan))},
		{name: "two explicit values, other content", messages: messages(content("a", valueX, plan), content("b", valueY, plan))},

		{name: "a key without tags has the explicit value", messages: messages(generated, content("a", valueX, plan)), start: foreignKey(nil)},
		{name: "another customer's key has the explicit value", messages: messages(content("a", valueX, plan), content("b", "", plan)),
			start: foreignKey(map[string]string{"createkey:secret": "apikeys/other/Gold", "createkey:request": content("a", valueX, plan).Digest()})},
		{name: "a foreign secret has the name", messages: messages(generated, content("b", valueX, plan)), start: foreignSecret(`{"password":"theirs"}`)},
		{name: "a later version's secret has the name", messages: messages(generated, content("b", valueX, plan)), start: foreignSecret(`{"format":"createkey/2","value":"theirs"}`)},

		{name: "API Gateway refuses one content", messages: messages(generated, content(refused, valueX, plan))},
		{name: "without a name", messages: messages(nameless(content("a", "")), nameless(content("b", "")))},
		{name: "two plans", messages: messages(content("a", "", both...), content("a", "", plan)), narrow: two},
		{name: "a default plan", messages: byDefault, defaultPlan: plan, narrow: two},
		{name: "a Marketplace sign-up", messages: marketplace, defaultPlan: plan, narrow: two},
		{name: "keys are issued again", messages: messages(generated, content("b", valueX, plan)), narrow: Bounds{Deliveries: 2, Faults: 1, Acts: 3, Passes: 1}},
		{name: "plans are deleted", messages: messages(content("a", "", plan), content("a", "", planID(1))), plansChange: true, narrow: two,
			wide: Bounds{Deliveries: 3, Faults: 2, Acts: 2, Passes: 1}},
		{name: "the operator does not wait", messages: messages(generated, other), early: true,
			narrow: Bounds{Deliveries: 3, Faults: 0, Acts: 1, Passes: 1}, wide: Bounds{Deliveries: 3, Faults: 1, Acts: 1, Passes: 1}},
	}...)
}

// sent returns a minute on the clock of the senders of a life.
func sent(minute int) time.Time { return time.Date(2025, 6, 1, 12, minute, 0, 0, time.UTC) }

// life returns the messages of a life: "S1 E2" is a sign-up, and an end that was sent later;
// "Sa1 Ea2" are those of agreement a; R is a rotation.
func life(text string, plans ...string) (list []message) {
	for _, name := range strings.Fields(text) {
		r := content("a", "", plans...)
		switch name[0] {
		case 'E':
			r = apikey.Request{Kind: apikey.End, Name: r.Name, CustomerID: r.CustomerID, Agreement: apikey.EveryHold}
		case 'R':
			r = apikey.Request{Kind: apikey.Rotation, Name: r.Name, CustomerID: r.CustomerID}
		}
		if len(name) == 3 {
			r.Agreement = name[1:2]
		}
		r.Time = sent(int(name[len(name)-1] - '0'))
		list = append(list, message{name: name, request: r, plans: plansOf(r.UsagePlanIDs)})
	}
	return list
}

// lives returns the scenes of lives: each message comes one to three times, in any order.
func lives() (list []*scene) {
	plan := planID(0)
	for _, l := range []struct {
		life, and    string
		narrow, wide Bounds
	}{
		{"S1 E2", "", Bounds{Deliveries: 3, Faults: 1, Passes: 1}, Bounds{Deliveries: 3, Faults: 2, Passes: 1}},
		{"S1 R2", "", Bounds{Deliveries: 3, Faults: 1, Passes: 1}, Bounds{Deliveries: 3, Faults: 2, Passes: 1}},
		{"S1 E2 S3", "", Bounds{Deliveries: 3, Faults: 1}, Bounds{Deliveries: 3, Faults: 1, Passes: 1}},
		{"S1 R2 E3", "", Bounds{Deliveries: 3, Faults: 1}, Bounds{Deliveries: 3, Faults: 2}},
		{"S1 R2 R3", "", Bounds{Deliveries: 3, Faults: 1}, Bounds{Deliveries: 3, Faults: 1, Passes: 1}},
		{"Sa1 Sb2 Ea3", "", Bounds{Deliveries: 3, Passes: 1}, Bounds{Deliveries: 3, Faults: 1, Passes: 1}},

		{"S1 R2 E3", ", and the operator", Bounds{Deliveries: 3, Acts: 1, Passes: 1}, Bounds{Deliveries: 3, Faults: 1, Acts: 1, Passes: 1}},
		{"Sa1 Sb2 Ea3", ", and the operator", Bounds{Deliveries: 2, Acts: 1, Passes: 1}, Bounds{Deliveries: 3, Acts: 1, Passes: 1}},
		{"S1 R2 E3", ", one more time", Bounds{Deliveries: 4}, Bounds{Deliveries: 4, Passes: 1}},
		{"S1 E2 S3", ", one more time", Bounds{Deliveries: 2}, Bounds{Deliveries: 4}},
	} {
		s := &scene{name: "life " + l.life + l.and, lives: true, messages: life(l.life), narrow: l.narrow, wide: l.wide}
		if l.and == ", and the operator" || strings.Contains(l.life, "R") {
			s.messages = life(l.life, plan)
		}
		list = append(list, s)
	}
	return list
}

func foreignSecret(text string) func(*explorer, *account) {
	return func(e *explorer, a *account) {
		a.exists, a.life = true, 1
		a.put(version{e.text(text), e.text("theirs")})
	}
}

// foreignKey makes a foreign key with the explicit value x.
func foreignKey(tags map[string]string) func(*explorer, *account) {
	return func(e *explorer, a *account) {
		in := &apigateway.CreateApiKeyInput{Name: aws.String("theirs"), Value: aws.String(valueX), Tags: tags}
		a.addKey(key{input: e.input(in), value: e.value(valueX), created: 1, foreign: true})
	}
}
