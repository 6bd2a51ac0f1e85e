package conformance

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
)

// sharedStage is part of AWS's answer for a key that is already in a plan of the same API
// stage, be it another plan or the same one.
const sharedStage = "cannot reference multiple Usage Plans with the same API Stage: "

var planCases = []Case{
	{
		Name: "plan/unknown", Source: "V error text; moto",
		Behaviour: "an unknown usage plan is not found",
		run: func(e *env) error {
			_, err := e.Gateway.GetUsagePlan(e.ctx, &apigateway.GetUsagePlanInput{UsagePlanId: aws.String("nosuch")})
			return refused(err, "NotFoundException", "Invalid Usage Plan ID specified")
		},
	},
	{
		Name: "plan-key/attach", Source: recordedKeys,
		Behaviour: "a key is attached to a plan; the answer has its value; GetUsagePlanKey then finds it",
		run: func(e *env) error {
			plan, key, err := e.planAndKey()
			if err != nil {
				return err
			}
			out, err := e.attach(plan, key.Id)
			switch {
			case err != nil:
				return err
			case aws.ToString(out.Id) != aws.ToString(key.Id), aws.ToString(out.Type) != "API_KEY", aws.ToString(out.Name) != e.name:
				return errors.New("id, type or name differs")
			case aws.ToString(out.Value) != aws.ToString(key.Value):
				return errors.New("the answer does not hold the key's value")
			}
			return e.eventually(func() error {
				_, err := e.Gateway.GetUsagePlanKey(e.ctx, &apigateway.GetUsagePlanKeyInput{UsagePlanId: plan, KeyId: key.Id})
				return err
			})
		},
	},
	{
		Name: "plan-key/not-attached", Source: "D API_GetUsagePlanKey",
		Behaviour: "GetUsagePlanKey does not find a key that is not in the plan",
		run: func(e *env) error {
			plan, key, err := e.planAndKey()
			if err != nil {
				return err
			}
			_, err = e.Gateway.GetUsagePlanKey(e.ctx, &apigateway.GetUsagePlanKeyInput{UsagePlanId: plan, KeyId: key.Id})
			return refused(err, "NotFoundException", "")
		},
	},
	{
		Name: "plan-key/unknown-plan", Source: "D API_CreateUsagePlanKey",
		Behaviour: "a key cannot be attached to an unknown plan",
		run: func(e *env) error {
			_, key, err := e.planAndKey()
			if err != nil {
				return err
			}
			_, err = e.attach(aws.String("nosuch"), key.Id)
			return refused(err, "NotFoundException", "")
		},
	},
	{
		Name: "plan-key/unknown-key", Source: recordedKeys,
		Behaviour: "an unknown key cannot be attached",
		run: func(e *env) error {
			plan, _, err := e.planAndKey()
			if err != nil {
				return err
			}
			_, err = e.attach(plan, aws.String("doesnotexist"))
			return refused(err, "NotFoundException", "Invalid API Key identifier specified")
		},
	},
	{
		Name: "plan-key/type", Source: recordedKeys,
		Behaviour: "any other key type is refused",
		run: func(e *env) error {
			plan, key, err := e.planAndKey()
			if err != nil {
				return err
			}
			_, err = e.Gateway.CreateUsagePlanKey(e.ctx, &apigateway.CreateUsagePlanKeyInput{
				UsagePlanId: plan, KeyId: key.Id, KeyType: aws.String("OTHER"),
			})
			return refused(err, "BadRequestException", "Invalid Usage Plan key type specified. Must be one of [API_KEY]")
		},
	},
	{
		Name: "plan-key/same-pair", Source: "U",
		Behaviour: "the same key in the same plan twice conflicts, even if the plan has no API stage",
		run: func(e *env) error {
			plan, key, err := e.planAndKey()
			if err != nil {
				return err
			}
			if _, err := e.attach(plan, key.Id); err != nil {
				return err
			}
			_, err = e.attach(plan, key.Id)
			return refused(err, "ConflictException", "")
		},
	},
	{
		Name: "plan-key/two-plans", Source: recordedKeys,
		Behaviour: "a key can be in two plans that share no API stage",
		run: func(e *env) error {
			plan, key, err := e.planAndKey()
			if err != nil {
				return err
			}
			second, err := e.createPlan("-second", false)
			if err != nil {
				return err
			}
			_, one := e.attach(plan, key.Id)
			_, two := e.attach(second.Id, key.Id)
			return errors.Join(one, two)
		},
	},
	{
		Name: "plan-key/shared-stage", Source: recordedKeys,
		Behaviour: "a key cannot be in two plans that share an API stage",
		Stage:     true,
		run: func(e *env) error {
			key, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name})
			if err != nil {
				return err
			}
			first, err := e.createPlan("", true)
			if err != nil {
				return err
			}
			second, err := e.createPlan("-second", true)
			if err != nil {
				return err
			}
			if _, err := e.attach(first.Id, key.Id); err != nil {
				return err
			}
			_, err = e.attach(second.Id, key.Id)
			return refused(err, "ConflictException", sharedStage)
		},
	},
	{
		Name: "plan-key/same-pair-with-stage", Source: recordedKeys,
		Behaviour: "the same key in the same plan twice conflicts, if the plan has an API stage",
		Stage:     true,
		run: func(e *env) error {
			key, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name})
			if err != nil {
				return err
			}
			plan, err := e.createPlan("", true)
			if err != nil {
				return err
			}
			if _, err := e.attach(plan.Id, key.Id); err != nil {
				return err
			}
			_, err = e.attach(plan.Id, key.Id)
			return refused(err, "ConflictException", sharedStage)
		},
	},
	{
		Name: "plan/by-key", Source: recordedKeys,
		Behaviour: "GetUsagePlans lists the plans of a key",
		run: func(e *env) error {
			plan, key, err := e.planAndKey()
			if err != nil {
				return err
			}
			if _, err := e.createPlan("-other", false); err != nil {
				return err
			}
			if _, err := e.attach(plan, key.Id); err != nil {
				return err
			}
			return e.eventually(func() error {
				out, err := e.Gateway.GetUsagePlans(e.ctx, &apigateway.GetUsagePlansInput{KeyId: key.Id})
				if err == nil && (len(out.Items) != 1 || aws.ToString(out.Items[0].Id) != aws.ToString(plan)) {
					err = errors.New("it does not list just the one plan")
				}
				return err
			})
		},
	},
	{
		Name: "plan-key/list", Source: "D API_GetUsagePlanKeys",
		Behaviour: "GetUsagePlanKeys lists the keys of one plan",
		run: func(e *env) error {
			plan, key, err := e.planAndKey()
			if err != nil {
				return err
			}
			other, err := e.createPlan("-other", false)
			if err != nil {
				return err
			}
			if _, err := e.attach(plan, key.Id); err != nil {
				return err
			}
			lists := func(plan *string, want int) error {
				out, err := e.Gateway.GetUsagePlanKeys(e.ctx, &apigateway.GetUsagePlanKeysInput{UsagePlanId: plan, Limit: aws.Int32(500)})
				if err == nil && (len(out.Items) != want || want == 1 && aws.ToString(out.Items[0].Id) != aws.ToString(key.Id)) {
					err = fmt.Errorf("it lists %d keys, want %d, of that id", len(out.Items), want)
				}
				return err
			}
			return e.eventually(func() error { return errors.Join(lists(plan, 1), lists(other.Id, 0)) })
		},
	},
	{
		Name: "plan-key/key-deleted", Source: "U",
		Behaviour: "a key's deletion takes it out of its plans",
		run: func(e *env) error {
			plan, key, err := e.planAndKey()
			if err != nil {
				return err
			}
			if _, err := e.attach(plan, key.Id); err != nil {
				return err
			}
			if _, err := e.Gateway.DeleteApiKey(e.ctx, &apigateway.DeleteApiKeyInput{ApiKey: key.Id}); err != nil {
				return err
			}
			return e.eventually(func() error {
				_, err := e.Gateway.GetUsagePlanKey(e.ctx, &apigateway.GetUsagePlanKeyInput{UsagePlanId: plan, KeyId: key.Id})
				return refused(err, "NotFoundException", "")
			})
		},
	},
}

// planAndKey makes a plan and a key that is not in it.
func (e *env) planAndKey() (plan *string, key *apigateway.CreateApiKeyOutput, err error) {
	if key, err = e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name}); err != nil {
		return nil, nil, err
	}
	out, err := e.createPlan("", false)
	if err != nil {
		return nil, nil, err
	}
	return out.Id, key, nil
}
