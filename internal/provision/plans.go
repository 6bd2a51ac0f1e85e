package provision

import (
	"context"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"createkey/internal/apikey"
	"createkey/internal/awserr"
	"createkey/internal/failure"
	"createkey/internal/pace"
)

// planCache remembers usage plans for the life of the environment: one GetUsagePlan for
// a plan and one list of all plans a minute, however many messages ask for them.
type planCache struct {
	// stages has the API stages, as apiId/stage, that each plan covers. A plan that was
	// not found is not in it, for somebody may be making it.
	stages map[string][]string

	// products has the plans of each AWS Marketplace product code, as listed at that
	// time. That a product has no plan is not remembered: somebody may be giving it one.
	products map[string][]string
	listed   time.Time
}

// productsFor is how long the usage plans' product codes are remembered. A product code
// that moves to another plan is found there after this at the latest.
const productsFor = time.Minute

// forget drops what is known of a plan, and of the products' plans.
func (c *planCache) forget(id string) {
	delete(c.stages, id)
	c.products = nil
}

// planStages returns the API stages that a usage plan covers.
func (p *Provisioner) planStages(ctx context.Context, id string) ([]string, error) {
	if stages, known := p.plans.stages[id]; known {
		return stages, nil
	}
	plan, err := p.keys.GetUsagePlan(ctx, &apigateway.GetUsagePlanInput{UsagePlanId: &id})
	if err = answered(err, func() *string { return plan.Id }); err != nil {
		return nil, err
	}
	var stages []string
	for _, s := range plan.ApiStages {
		stages = append(stages, aws.ToString(s.ApiId)+"/"+aws.ToString(s.Stage))
	}
	p.plans.stages[id] = stages
	return stages, nil
}

// productPlans returns the ids of the usage plans that carry a product code.
func (p *Provisioner) productPlans(ctx context.Context, productCode string) ([]string, error) {
	if plans := p.plans.products[productCode]; plans != nil && p.Now().Sub(p.plans.listed) < productsFor {
		return plans, nil
	}
	listed, plansOf := p.Now(), map[string][]string{}
	pages := apigateway.NewGetUsagePlansPaginator(p.keys, &apigateway.GetUsagePlansInput{Limit: aws.Int32(mostPerPage)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, plan := range page.Items {
			code, id := aws.ToString(plan.ProductCode), aws.ToString(plan.Id)
			if !slices.Contains(plansOf[code], id) { // a list that changes between pages repeats some
				plansOf[code] = append(plansOf[code], id)
			}
		}
	}
	p.plans.products, p.plans.listed = plansOf, listed
	return plansOf[productCode], nil
}

// choosePlans returns the usage plans that a request's key is to be in: those
// that it names, else that of its AWS Marketplace product, else the default.
// Its error is one that keeps anything from being made.
func (p *Provisioner) choosePlans(ctx context.Context, r apikey.Request) ([]string, error) {
	if len(r.UsagePlanIDs) == 0 && r.ProductCode != "" {
		plans, err := p.productPlans(ctx, r.ProductCode)
		switch {
		case err != nil:
			return nil, retryable("GetUsagePlans", err)
		case len(plans) > 1:
			return nil, failure.Retry("GetUsagePlans: usage plans %s have the same product code %s: take it off all but one",
				strings.Join(plans, ", "), strconv.Quote(r.ProductCode))
		case len(plans) == 1:
			return plans, nil
		}
	}
	plans := r.Plans(p.DefaultPlan)
	return plans, p.checkPlans(ctx, r, plans)
}

// checkPlans finds out, before anything is made, that every plan exists and
// that no two of them cover the same API stage: a key belongs to at most one
// plan per stage
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-usage-plans.html).
func (p *Provisioner) checkPlans(ctx context.Context, r apikey.Request, plans []string) error {
	coveredBy := map[string]int{}
	var reasons []string
	for i, id := range plans {
		path := "usagePlanIds[" + strconv.Itoa(i) + "]"
		stages, err := p.planStages(ctx, id)
		switch {
		case awserr.Code(err) == codeNotFound && len(r.UsagePlanIDs) == 0:
			return failure.Retry("GetUsagePlan: the deployment's default usage plan %s does not exist", id)
		case awserr.Code(err) == codeNotFound:
			reasons = append(reasons, path+": there is no usage plan "+failure.Quote(id))
		case err != nil:
			return retryable("GetUsagePlan", err)
		}
		for _, stage := range stages {
			if other, taken := coveredBy[stage]; taken {
				reasons = append(reasons, path+": covers API stage "+stage+", as usagePlanIds["+strconv.Itoa(other)+"] does: "+
					"a key belongs to one usage plan per stage")
				p.plans.forget(id) // they may be mended before the next message
				p.plans.forget(plans[other])
				break
			}
			coveredBy[stage] = i
		}
	}
	if reasons != nil {
		return &failure.RejectedError{Reasons: reasons}
	}
	return nil
}

// plansNow returns the ids of the usage plans that the recorded key is in; never nil
// beside a nil error. API Gateway is asked only where the record names some.
func (j *job) plansNow(ctx context.Context) ([]string, error) {
	if len(j.record.Key.UsagePlanIDs) == 0 {
		return []string{}, nil
	}
	return j.plansOf(ctx, j.record.Key.ID)
}

// plansOf returns the usage plans that a key is in.
func (j *job) plansOf(ctx context.Context, key string) ([]string, error) {
	ids := []string{}
	pages := apigateway.NewGetUsagePlansPaginator(j.keys, &apigateway.GetUsagePlansInput{KeyId: &key, Limit: aws.Int32(mostPerPage)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, retryable("GetUsagePlans", err, values(j.record)...)
		}
		for _, plan := range page.Items {
			ids = append(ids, aws.ToString(plan.Id))
		}
	}
	return ids, nil
}

// takenOut reports whether a key that is in none of its plans was taken out of one: where
// no plan exists any more, nobody did that to this key.
func (p *Provisioner) takenOut(ctx context.Context, plans []string) (bool, error) {
	for _, id := range plans {
		p.plans.forget(id) // what is remembered may be gone
		if _, err := p.planStages(ctx, id); awserr.Code(err) != codeNotFound {
			return err == nil, err
		}
	}
	return false, nil
}

// attachPlans is step 3. A key that a plan has already is done.
func (j *job) attachPlans(ctx context.Context) error {
	for _, id := range j.wanted {
		if call, err := j.attachPlan(ctx, id); err != nil {
			// NotFound too: the plan was there, so it may be lag. Or it was deleted
			// since: the next message looks it up again, and makes no key without its plan.
			if awserr.Code(err) == codeNotFound {
				j.plans.forget(id)
			}
			return j.unfinished(retryable(call+" ("+id+")", err, values(j.record)...))
		}
	}
	return nil
}

// AWS takes CreateUsagePlanKey one at a time in a Region, and answers Conflict to one that
// comes less than about a second after another, whoever made it, says its support
// (https://github.com/serverless/serverless/issues/12065).
const (
	// planKeySpacing is the least time between two CreateUsagePlanKey calls of an
	// environment that has met such a Conflict within spacedFor.
	planKeySpacing = time.Second
	spacedFor      = 10 * time.Minute
	// A call that met one is made again after once to twice firstPlanKeyWait, which
	// doubles each time up to longestPlanKeyWait.
	firstPlanKeyWait   = time.Second
	longestPlanKeyWait = 8 * time.Second
)

// attachPlan attaches the key to a usage plan. A Conflict is asked about, since what AWS
// answers to a repeated pair is not documented, and where the key is not attached the
// call is made again as long as the invocation's time lasts. Beside an error it returns
// the call that failed.
func (j *job) attachPlan(ctx context.Context, id string) (call string, err error) {
	const create, get = "CreateUsagePlanKey", "GetUsagePlanKey"
	in := &apigateway.CreateUsagePlanKeyInput{UsagePlanId: &id, KeyId: &j.result.Key.ID, KeyType: aws.String("API_KEY")}
	for wait := firstPlanKeyWait; ; wait = min(2*wait, longestPlanKeyWait) {
		if j.Now().Sub(j.planKeyConflict) < spacedFor && !j.Sleep(ctx, planKeySpacing-j.Now().Sub(j.planKeyCalled)) {
			return create, pace.ErrNoTime
		}
		// The answer holds the key's value: nothing but its id is read.
		out, err := j.keys.CreateUsagePlanKey(ctx, in)
		j.planKeyCalled = j.Now()
		if err = answered(err, func() *string { return out.Id }); awserr.Code(err) != codeConflict {
			return create, err
		}
		has, missing := j.keys.GetUsagePlanKey(ctx, &apigateway.GetUsagePlanKeyInput{UsagePlanId: in.UsagePlanId, KeyId: in.KeyId})
		if missing = answered(missing, func() *string { return has.Id }); awserr.Code(missing) != codeNotFound {
			return get, missing
		}
		j.planKeyConflict = j.Now()
		if !j.Sleep(ctx, j.jittered(wait)) {
			return create, err
		}
	}
}

// jittered returns once to twice a time, so that environments which met each other do not
// meet again.
func (j *job) jittered(wait time.Duration) time.Duration {
	var random [1]byte
	_, _ = io.ReadFull(j.Random, random[:]) // without random bytes there is no jitter
	return wait + wait*time.Duration(random[0])/256
}
