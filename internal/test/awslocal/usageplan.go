package awslocal

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// A UsagePlan is a usage plan. https://docs.aws.amazon.com/apigateway/latest/api/API_UsagePlan.html
type UsagePlan struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	ProductCode string            `json:"productCode,omitempty"` // of AWS Marketplace
	APIStages   []APIStage        `json:"apiStages"`
	Tags        map[string]string `json:"tags,omitempty"`
	Throttle    json.RawMessage   `json:"throttle,omitempty"` // stored, no effect
	Quota       json.RawMessage   `json:"quota,omitempty"`    // likewise
}

// An APIStage is an API stage that a usage plan covers.
type APIStage struct {
	APIID    string          `json:"apiId"`
	Stage    string          `json:"stage"`
	Throttle json.RawMessage `json:"throttle,omitempty"` // stored, no effect
}

// name is the stage's form in patches and error texts.
func (st APIStage) name() string { return st.APIID + ":" + st.Stage }

// sharedStage returns the name of a stage that both plans cover, or "".
func sharedStage(p, q UsagePlan) string {
	for _, a := range p.APIStages {
		for _, b := range q.APIStages {
			if a.name() == b.name() {
				return a.name()
			}
		}
	}
	return ""
}

// A planKey records that a key is in a plan.
type planKey struct{ plan, key string }

func (pk planKey) id() string { return pk.plan + "/" + pk.key }

// planKeyJSON is a plan's key on the wire. As on AWS it holds the key's value.
type planKeyJSON struct {
	ID    string `json:"id"`
	Type  string `json:"type"`
	Value string `json:"value"`
	Name  string `json:"name,omitempty"`
}

func (k Key) planKeyJSON() planKeyJSON {
	return planKeyJSON{ID: k.ID, Type: "API_KEY", Value: string(k.Value), Name: k.Name}
}

// AddUsagePlan adds a plan without hooks, quotas and checks, and returns its id, which is
// generated if empty. Every read sees it, however stale.
func (s *Server) AddUsagePlan(p UsagePlan) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ID == "" {
		p.ID = s.newPlanID()
	}
	if p.Name == "" {
		p.Name = p.ID
	}
	p.APIStages = append([]APIStage{}, p.APIStages...)
	s.plans.put(p.ID, time.Time{}, p)
	return p.ID
}

// UsagePlans returns the existing usage plans, oldest first.
func (s *Server) UsagePlans() []UsagePlan {
	s.mu.Lock()
	defer s.mu.Unlock()
	plans := s.plans.list(s.now())
	for i := range plans {
		plans[i].APIStages = slices.Clone(plans[i].APIStages)
		plans[i].Tags = maps.Clone(plans[i].Tags)
	}
	return plans
}

// UsagePlanKeys returns the sorted ids of the plans that the key is in.
func (s *Server) UsagePlanKeys(keyID string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var plans []string
	for _, pk := range s.planKeys.list(s.now()) {
		if pk.key == keyID {
			plans = append(plans, pk.plan)
		}
	}
	slices.Sort(plans)
	return plans
}

func (s *Server) newPlanID() string {
	return s.newID(6, func(id string) bool { return s.plans.rows[id] != nil })
}

// errBadStage has AWS's own text, placeholders included.
var errBadStage = badRequest("Invalid API Stage {api: %s, stage: %s} specified for usageplan %s")

func (s *Server) knows(st APIStage) bool {
	return st.APIID != "" && st.Stage != "" && (s.Stages == nil || s.Stages[st.APIID+"/"+st.Stage])
}

// plan returns the usage plan as of asOf, or NotFound.
func (s *Server) plan(id string, asOf time.Time) (UsagePlan, error) {
	plan, ok := s.plans.get(id, asOf)
	if !ok {
		return UsagePlan{}, notFound("Invalid Usage Plan ID specified")
	}
	return plan, nil
}

func (s *Server) createUsagePlan(r *request) (any, error) {
	plan, err := decode[UsagePlan](r.body)
	if err != nil {
		return nil, err
	}
	if plan.Name == "" {
		return nil, badRequest("Usage plan name is required")
	}
	for _, st := range plan.APIStages {
		if !s.knows(st) {
			return nil, errBadStage
		}
	}
	if err := checkTags(plan.Tags); err != nil {
		return nil, err
	}
	plan.ID = s.newPlanID()
	plan.ProductCode = "" // not a member of CreateUsagePlan: set by a patch only
	if plan.APIStages == nil {
		plan.APIStages = []APIStage{}
	}
	s.plans.put(plan.ID, r.now, plan)
	return plan, nil
}

func (s *Server) getUsagePlan(r *request) (any, error) {
	plan, err := s.plan(r.params["plan"], r.asOf)
	if err != nil {
		return nil, err
	}
	return plan, nil
}

func (s *Server) getUsagePlans(r *request) (any, error) {
	keyID := r.http.URL.Query().Get("keyId")
	plans, next, err := pageOf(&s.plans, r, func(p UsagePlan) bool {
		if keyID == "" {
			return true
		}
		_, ok := s.planKeys.get(planKey{p.ID, keyID}.id(), r.asOf)
		return ok
	})
	if err != nil {
		return nil, err
	}
	return list(plans, next), nil
}

func (s *Server) updateUsagePlan(r *request) (any, error) {
	plan, err := s.plan(r.params["plan"], r.now)
	if err != nil {
		return nil, err
	}
	err = patch(r.body, func(op, path, value string) error {
		switch op + " " + path {
		case "replace /name":
			plan.Name = value
		case "replace /description":
			plan.Description = value
		case "replace /productCode":
			plan.ProductCode = value
		case "add /apiStages":
			api, stage, _ := strings.Cut(value, ":")
			st := APIStage{APIID: api, Stage: stage}
			if !s.knows(st) {
				return errBadStage
			}
			plan.APIStages = append(slices.Clone(plan.APIStages), st) // older versions share the slice
		case "remove /apiStages":
			plan.APIStages = slices.DeleteFunc(slices.Clone(plan.APIStages), func(st APIStage) bool { return st.name() == value })
		default:
			return badPatch(op, path, "/name, /description, /productCode")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.plans.put(plan.ID, r.now, plan)
	return plan, nil
}

func (s *Server) deleteUsagePlan(r *request) (any, error) {
	plan, err := s.plan(r.params["plan"], r.now)
	if err != nil {
		return nil, err
	}
	s.plans.remove(plan.ID, r.now)
	for _, pk := range s.planKeys.list(r.now) {
		if pk.plan == plan.ID {
			s.planKeys.remove(pk.id(), r.now)
		}
	}
	return nil, nil
}

// createUsagePlanKey attaches a key to a plan. A key belongs to at most one plan per API stage,
// so repeating a pair conflicts as well; that it does in a plan without stages is
// unconfirmed.
func (s *Server) createUsagePlanKey(r *request) (any, error) {
	in, err := decode[struct{ KeyID, KeyType string }](r.body)
	if err != nil {
		return nil, err
	}
	if in.KeyType != "API_KEY" {
		return nil, badRequest("Invalid Usage Plan key type specified. Must be one of [API_KEY]")
	}
	if !s.planKeyMade.IsZero() && r.now.Sub(s.planKeyMade) < s.PlanKeyWindow {
		return nil, ConcurrentModification
	}
	plan, err := s.plan(r.params["plan"], r.now)
	if err != nil {
		return nil, err
	}
	key, err := s.key(in.KeyID, r.now)
	if err != nil {
		return nil, err
	}
	for _, other := range s.plans.list(r.now) {
		if _, in := s.planKeys.get(planKey{other.ID, key.ID}.id(), r.now); !in {
			continue
		}
		if stage := sharedStage(plan, other); stage != "" || other.ID == plan.ID {
			return nil, conflict("Usage Plan " + plan.ID + " cannot be added because API Key " + key.ID +
				" cannot reference multiple Usage Plans with the same API Stage: " + stage)
		}
	}
	pk := planKey{plan.ID, key.ID}
	s.planKeys.put(pk.id(), r.now, pk)
	s.planKeyMade = r.now
	return key.planKeyJSON(), nil
}

func (s *Server) getUsagePlanKey(r *request) (any, error) {
	if _, err := s.plan(r.params["plan"], r.asOf); err != nil {
		return nil, err
	}
	key, err := s.key(r.params["key"], r.asOf)
	if err != nil {
		return nil, err
	}
	if _, ok := s.planKeys.get(planKey{r.params["plan"], key.ID}.id(), r.asOf); !ok {
		return nil, notFound("Invalid Usage Plan Key identifier specified") // text unconfirmed
	}
	return key.planKeyJSON(), nil
}

// getUsagePlanKeys lists a plan's keys; an unknown plan has none.
func (s *Server) getUsagePlanKeys(r *request) (any, error) {
	name := r.http.URL.Query().Get("name")
	pairs, next, err := pageOf(&s.planKeys, r, func(pk planKey) bool {
		key, ok := s.keys.get(pk.key, r.asOf)
		return ok && pk.plan == r.params["plan"] && strings.HasPrefix(key.Name, name)
	})
	if err != nil {
		return nil, err
	}
	items := make([]planKeyJSON, len(pairs))
	for i, pk := range pairs {
		key, _ := s.keys.get(pk.key, r.asOf) // exists, because the page has it
		items[i] = key.planKeyJSON()
	}
	return list(items, next), nil
}

func (s *Server) deleteUsagePlanKey(r *request) (any, error) {
	pk := planKey{r.params["plan"], r.params["key"]}
	if _, err := s.plan(pk.plan, r.now); err != nil {
		return nil, err
	}
	if _, ok := s.planKeys.get(pk.id(), r.now); !ok {
		return nil, notFound("Invalid Usage Plan Key identifier specified") // text unconfirmed
	}
	s.planKeys.remove(pk.id(), r.now)
	return nil, nil
}
