package provision

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"golang.org/x/sync/singleflight"

	"createkey/internal/apikey"
	"createkey/internal/failure"
)

// planCache remembers which API stages a usage plan covers, for the life of the
// environment: one GetUsagePlan for a plan, however many messages name it. What
// was not found is asked for again, for somebody may be making it.
type planCache struct {
	keys    keysAPI
	asking  singleflight.Group
	covered sync.Map // plan id -> []string, the stages as apiId/stage
}

func (c *planCache) stages(ctx context.Context, id string) ([]string, error) {
	if stages, ok := c.covered.Load(id); ok {
		return stages.([]string), nil
	}
	stages, err, _ := c.asking.Do(id, func() (any, error) {
		plan, err := c.keys.GetUsagePlan(ctx, &apigateway.GetUsagePlanInput{UsagePlanId: &id})
		if err = answered(err, func() *string { return plan.Id }); err != nil {
			return nil, err
		}
		stages := []string{}
		for _, s := range plan.ApiStages {
			stages = append(stages, aws.ToString(s.ApiId)+"/"+aws.ToString(s.Stage))
		}
		c.covered.Store(id, stages)
		return stages, nil
	})
	if err != nil {
		return nil, err
	}
	return stages.([]string), nil
}

func (c *planCache) forget(ids ...string) {
	for _, id := range ids {
		c.covered.Delete(id)
	}
}

// productsFor is how long the usage plans' product codes are remembered. A
// product code that is set on a plan is found after this at the latest.
const productsFor = time.Minute

// productCache remembers which usage plans carry which AWS Marketplace product
// code: one list of all plans for every environment and minute, however many
// customers sign up. That a product has no plan is remembered likewise.
type productCache struct {
	keys   keysAPI
	asking singleflight.Group
	listed atomic.Pointer[productList]
}

type productList struct {
	at    time.Time
	plans map[string][]string // product code -> plan ids
}

// plansOf returns the ids of the plans that carry a product code.
func (c *productCache) plansOf(ctx context.Context, productCode string) ([]string, error) {
	if list := c.listed.Load(); list != nil && time.Since(list.at) < productsFor {
		return list.plans[productCode], nil
	}
	list, err, _ := c.asking.Do("", func() (any, error) {
		list := &productList{at: time.Now(), plans: map[string][]string{}}
		pages := apigateway.NewGetUsagePlansPaginator(c.keys, &apigateway.GetUsagePlansInput{Limit: aws.Int32(mostPerPage)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, plan := range page.Items {
				code, id := aws.ToString(plan.ProductCode), aws.ToString(plan.Id)
				if !slices.Contains(list.plans[code], id) { // a list that changes between pages repeats some
					list.plans[code] = append(list.plans[code], id)
				}
			}
		}
		c.listed.Store(list)
		return list, nil
	})
	if err != nil {
		return nil, err
	}
	return list.(*productList).plans[productCode], nil
}

// choosePlans returns the usage plans that a request's key is to be in: those
// that it names, else that of its AWS Marketplace product, else the default.
// Its error is one that keeps anything from being made.
func (p *Provisioner) choosePlans(ctx context.Context, r apikey.Request) ([]string, error) {
	if len(r.UsagePlanIDs) == 0 && r.ProductCode != "" {
		plans, err := p.products.plansOf(ctx, r.ProductCode)
		switch {
		case err != nil:
			return nil, retryable("GetUsagePlans", err)
		case len(plans) > 1:
			return nil, failure.Retry("GetUsagePlans: usage plans %s have the same product code %s: take it off all but one",
				strings.Join(plans, ", "), failure.Quote(r.ProductCode))
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
		stages, err := p.knownPlans.stages(ctx, id)
		switch {
		case errorCode(err) == codeNotFound && len(r.UsagePlanIDs) == 0:
			return failure.Retry("GetUsagePlan: the deployment's default usage plan %s does not exist", id)
		case errorCode(err) == codeNotFound:
			reasons = append(reasons, path+": no such usage plan")
		case err != nil:
			return retryable("GetUsagePlan", err)
		}
		for _, stage := range stages {
			if other, taken := coveredBy[stage]; taken {
				reasons = append(reasons, path+": covers API stage "+stage+", as usagePlanIds["+strconv.Itoa(other)+"] does: "+
					"a key belongs to one usage plan per stage")
				p.knownPlans.forget(id, plans[other]) // they may be mended before the next message
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

// attachPlans is step 3. A key that a plan has already is done.
func (j *job) attachPlans(ctx context.Context) error {
	for _, id := range j.plans {
		if err := j.attachPlan(ctx, id); err != nil {
			// NotFound too: the plan was there, so it may be lag. Or it was deleted
			// since: the next message asks, and makes no key in vain.
			if errorCode(err) == codeNotFound {
				j.knownPlans.forget(id)
			}
			return j.unfinished(retryable("CreateUsagePlanKey ("+id+")", err, j.record.Value))
		}
	}
	return nil
}

func (j *job) attachPlan(ctx context.Context, id string) error {
	in := &apigateway.CreateUsagePlanKeyInput{UsagePlanId: &id, KeyId: &j.result.Key.ID, KeyType: aws.String("API_KEY")}
	// The answer holds the key's value: nothing but its id is read.
	out, err := j.keys.CreateUsagePlanKey(ctx, in)
	if err = answered(err, func() *string { return out.Id }); errorCode(err) != codeConflict {
		return err
	}
	// What AWS answers to a repeated pair is not documented: ask.
	has, err := j.keys.GetUsagePlanKey(ctx, &apigateway.GetUsagePlanKeyInput{UsagePlanId: in.UsagePlanId, KeyId: in.KeyId})
	if err = answered(err, func() *string { return has.Id }); err == nil {
		return nil
	}
	// AWS also answers Conflict where keys are attached close to each other, and
	// asks to try again
	// (https://github.com/serverless/serverless/issues/12065).
	out, err = j.keys.CreateUsagePlanKey(ctx, in, func(o *apigateway.Options) {
		o.Retryer = retry.AddWithErrorCodes(o.Retryer, codeConflict)
	})
	return answered(err, func() *string { return out.Id })
}
