package awslocal

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Key is an API key. https://docs.aws.amazon.com/apigateway/latest/api/API_ApiKey.html
type Key struct {
	ID          string
	Value       Sensitive
	Name        string
	Description string
	CustomerID  string
	Enabled     bool
	StageKeys   []string // "restApiId/stage"
	Tags        map[string]string
	Created     time.Time
	LastUpdated time.Time
	Deleted     time.Time // zero: it exists; only KeysEver sets it
}

// Limits of CreateApiKey.
const (
	minValue       = 20
	maxValue       = 128
	maxName        = 1024
	maxDescription = 125_000
	maxTags        = 50
	maxTagKey      = 128
	maxTagValue    = 256
)

const apiKeyARNPrefix = "arn:aws:apigateway:" + Region + "::/apikeys/"

var apiGateway = service{
	name:        "apigateway",
	contentType: "application/json",
	find:        findRoute,
	describe: func(body []byte, c *Call) {
		var in struct{ Tags map[string]any }
		c.Tagged = json.Unmarshal(body, &in) == nil && len(in.Tags) > 0
	},
	fault: func(e *Error) (int, any) {
		return e.Status, map[string]string{"message": e.Message}
	},
}

// routes are API Gateway's operations. init fills them in because the operations refer to the
// service, and the service to the routes.
var routes []route

type route struct {
	method, pattern string
	operation
}

func init() {
	add := func(method, pattern, name string, status int, run func(*Server, *request) (any, error)) {
		routes = append(routes, route{method, pattern, operation{name: name, status: status, run: run}})
	}
	add("POST", "/apikeys", "CreateApiKey", http.StatusCreated, (*Server).createAPIKey)
	add("GET", "/apikeys", "GetApiKeys", http.StatusOK, (*Server).getAPIKeys)
	add("GET", "/apikeys/{key}", "GetApiKey", http.StatusOK, (*Server).getAPIKey)
	add("PATCH", "/apikeys/{key}", "UpdateApiKey", http.StatusOK, (*Server).updateAPIKey)
	add("DELETE", "/apikeys/{key}", "DeleteApiKey", http.StatusAccepted, (*Server).deleteAPIKey)

	add("POST", "/usageplans", "CreateUsagePlan", http.StatusCreated, (*Server).createUsagePlan)
	add("GET", "/usageplans", "GetUsagePlans", http.StatusOK, (*Server).getUsagePlans)
	add("GET", "/usageplans/{plan}", "GetUsagePlan", http.StatusOK, (*Server).getUsagePlan)
	add("PATCH", "/usageplans/{plan}", "UpdateUsagePlan", http.StatusOK, (*Server).updateUsagePlan)
	add("DELETE", "/usageplans/{plan}", "DeleteUsagePlan", http.StatusAccepted, (*Server).deleteUsagePlan)

	add("POST", "/usageplans/{plan}/keys", "CreateUsagePlanKey", http.StatusCreated, (*Server).createUsagePlanKey)
	add("GET", "/usageplans/{plan}/keys", "GetUsagePlanKeys", http.StatusOK, (*Server).getUsagePlanKeys)
	add("GET", "/usageplans/{plan}/keys/{key}", "GetUsagePlanKey", http.StatusOK, (*Server).getUsagePlanKey)
	add("DELETE", "/usageplans/{plan}/keys/{key}", "DeleteUsagePlanKey", http.StatusAccepted, (*Server).deleteUsagePlanKey)

	add("GET", "/tags/{arn}", "GetTags", http.StatusOK, (*Server).getTags)
	add("PUT", "/tags/{arn}", "TagResource", http.StatusNoContent, (*Server).tagAPIKey)
	add("DELETE", "/tags/{arn}", "UntagResource", http.StatusNoContent, (*Server).untagAPIKey)
}

// findRoute matches the escaped path, because an ARN in it has escaped slashes.
func findRoute(r *http.Request) (operation, bool) {
	if r.URL.Query().Has("mode") {
		return operation{}, false // ImportApiKeys, on CreateApiKey's path
	}
	segments := strings.Split(r.URL.EscapedPath(), "/")
	for _, route := range routes {
		if route.method != r.Method {
			continue
		}
		if params, ok := match(strings.Split(route.pattern, "/"), segments); ok {
			route.params = params
			return route.operation, true
		}
	}
	return operation{}, false
}

func match(pattern, segments []string) (map[string]string, bool) {
	if len(pattern) != len(segments) {
		return nil, false
	}
	params := make(map[string]string)
	for i, p := range pattern {
		name, isParam := strings.CutPrefix(p, "{")
		value, err := url.PathUnescape(segments[i])
		switch {
		case err != nil, isParam && value == "", !isParam && p != segments[i]:
			return nil, false
		case isParam:
			params[strings.TrimSuffix(name, "}")] = value
		}
	}
	return params, true
}

// Keys returns the keys that exist, oldest first.
func (s *Server) Keys() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := s.keys.list(s.now())
	for i := range keys {
		keys[i] = keys[i].clone()
	}
	return keys
}

// KeysEver returns the last state of every key that ever existed, oldest first.
func (s *Server) KeysEver() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []Key
	for _, id := range s.keys.ids {
		var key Key
		for _, v := range s.keys.rows[id] {
			if v.deleted {
				key.Deleted = v.since
			} else {
				key = v.value
			}
		}
		keys = append(keys, key.clone())
	}
	return keys
}

// AddKey adds a key without hooks, quotas and checks, and returns it. An empty ID or Value is
// generated. Every read sees it, however stale.
func (s *Server) AddKey(k Key) Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.ID == "" {
		k.ID = s.newKeyID()
	}
	if k.Value == "" {
		k.Value = Sensitive(s.random(40, alphanumeric))
	}
	s.putKey(k.clone(), time.Time{})
	return k
}

func (k Key) clone() Key {
	k.StageKeys = slices.Clone(k.StageKeys)
	k.Tags = maps.Clone(k.Tags)
	return k
}

func (s *Server) newKeyID() string {
	return s.newID(10, func(id string) bool { return s.keys.rows[id] != nil })
}

func (s *Server) putKey(k Key, now time.Time) {
	if s.keyIDs == nil {
		s.keyIDs = make(map[string]string)
	}
	s.keyIDs[string(k.Value)] = k.ID
	s.keys.put(k.ID, now, k)
}

// keyJSON is a key on the wire. Its times are whole epoch seconds.
type keyJSON struct {
	ID              string            `json:"id"`
	Value           string            `json:"value,omitempty"`
	Name            string            `json:"name,omitempty"`
	Description     string            `json:"description,omitempty"`
	CustomerID      string            `json:"customerId,omitempty"`
	Enabled         bool              `json:"enabled"`
	CreatedDate     int64             `json:"createdDate"`
	LastUpdatedDate int64             `json:"lastUpdatedDate"`
	StageKeys       []string          `json:"stageKeys"`
	Tags            map[string]string `json:"tags,omitempty"`
}

func (k Key) json(withValue bool) keyJSON {
	out := keyJSON{
		ID:              k.ID,
		Name:            k.Name,
		Description:     k.Description,
		CustomerID:      k.CustomerID,
		Enabled:         k.Enabled,
		CreatedDate:     k.Created.Unix(),
		LastUpdatedDate: k.LastUpdated.Unix(),
		StageKeys:       k.StageKeys,
		Tags:            k.Tags,
	}
	if out.StageKeys == nil {
		out.StageKeys = []string{}
	}
	if withValue {
		out.Value = string(k.Value)
	}
	return out
}

func (s *Server) createAPIKey(r *request) (any, error) {
	in, err := decode[struct {
		Name, Description, CustomerID, Value string
		Enabled, GenerateDistinctID          bool // ids and values always differ
		StageKeys                            []struct{ RestAPIID, StageName string }
		Tags                                 map[string]string
	}](r.body)
	if err != nil {
		return nil, err
	}
	switch {
	case utf8.RuneCountInString(in.Name) > maxName:
		return nil, badRequest("Invalid API Key name, can be at most 1024 characters.")
	case utf8.RuneCountInString(in.Description) > maxDescription:
		return nil, badRequest("Invalid API Key description specified.")
	case in.Value != "" && utf8.RuneCountInString(in.Value) < minValue:
		return nil, badRequest("API Key value should be at least 20 characters")
	case utf8.RuneCountInString(in.Value) > maxValue:
		return nil, badRequest("API Key value exceeds maximum size of 128 characters")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	var stageKeys []string
	for _, sk := range in.StageKeys {
		stage := sk.RestAPIID + "/" + sk.StageName
		if s.Stages != nil && !s.Stages[stage] {
			// AWS is known to answer this text; of CreateApiKey's codes only this one fits.
			return nil, notFound("Invalid stage identifier specified")
		}
		stageKeys = append(stageKeys, stage)
	}
	if _, taken := s.keyIDs[in.Value]; taken {
		return nil, conflict("API Key already exists")
	}
	if q := s.Quotas.MaxKeys; q > 0 && len(s.keyIDs) >= q {
		return nil, LimitExceeded
	}
	if in.Value == "" {
		in.Value = s.random(40, alphanumeric)
	}
	key := Key{
		ID:          s.newKeyID(),
		Value:       Sensitive(in.Value),
		Name:        in.Name,
		Description: in.Description,
		CustomerID:  in.CustomerID,
		Enabled:     in.Enabled,
		StageKeys:   stageKeys,
		Tags:        in.Tags,
		Created:     r.now,
		LastUpdated: r.now,
	}
	s.putKey(key, r.now)
	return key.json(true), nil
}

// checkTags checks the rules on which AWS's two documents agree; they differ on the legal
// characters. The texts are unconfirmed.
func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return badRequest("Too many tags: a resource can have at most 50.")
	}
	for k, v := range tags {
		switch {
		case k == "", utf8.RuneCountInString(k) > maxTagKey:
			return badRequest("Invalid tag key: must have 1 to 128 characters.")
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return badRequest("Invalid tag key: must not start with aws:.")
		case utf8.RuneCountInString(v) > maxTagValue:
			return badRequest("Invalid tag value: must have at most 256 characters.")
		}
	}
	return nil
}

// key returns the key as of asOf, or NotFound.
func (s *Server) key(id string, asOf time.Time) (Key, error) {
	key, ok := s.keys.get(id, asOf)
	if !ok {
		return Key{}, notFound("Invalid API Key identifier specified")
	}
	return key, nil
}

func (s *Server) getAPIKey(r *request) (any, error) {
	key, err := s.key(r.params["key"], r.asOf)
	if err != nil {
		return nil, err
	}
	return key.json(r.http.URL.Query().Get("includeValue") == "true"), nil
}

func (s *Server) getAPIKeys(r *request) (any, error) {
	q := r.http.URL.Query()
	limit, err := pageLimit(q)
	if err != nil {
		return nil, err
	}
	start, ok := s.afterPosition(q.Get("position"))
	if !ok {
		return nil, errBadPosition
	}
	keys, next := s.keys.page(r.asOf, start, limit, func(k Key) bool {
		return strings.HasPrefix(k.Name, q.Get("name")) &&
			(q.Get("customerId") == "" || k.CustomerID == q.Get("customerId"))
	})
	items := make([]keyJSON, len(keys))
	for i, k := range keys {
		items[i] = k.json(q.Get("includeValues") == "true")
		if !s.ListTags {
			items[i].Tags = nil
		}
	}
	position := ""
	if next > 0 {
		position = keys[len(keys)-1].position()
	}
	return list(items, position), nil
}

// position encodes the place in a list after a key. As on AWS it holds the key's value and
// name, whether the list includes values or not, and is escaped twice in a URL: neither it nor
// a URL that contains it may be logged.
func (k Key) position() string {
	return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("apiKey=S" + string(k.Value) + "&name=S" + k.Name)))
}

// afterPosition returns the place after the key of a position; the key may be deleted by now.
// It returns false if the text is not a position.
func (s *Server) afterPosition(position string) (place int, ok bool) {
	if position == "" {
		return 0, true
	}
	encoded, err := url.QueryUnescape(position)
	if err != nil {
		return 0, false
	}
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return 0, false
	}
	for i, id := range s.keys.ids {
		value := s.keys.rows[id][0].value.Value // never changes, unlike the name
		if strings.HasPrefix(string(text), "apiKey=S"+string(value)+"&name=S") {
			place = i + 1 // the last of several: a deleted key's value can be reused
		}
	}
	return place, place > 0
}

// updateAPIKey supports the patch operations that the CLI and an operator use.
// https://docs.aws.amazon.com/apigateway/latest/api/patch-operations.html
func (s *Server) updateAPIKey(r *request) (any, error) {
	key, err := s.key(r.params["key"], r.now)
	if err != nil {
		return nil, err
	}
	err = patch(r.body, func(op, path, value string) error {
		switch op + " " + path {
		case "replace /name":
			key.Name = value
		case "replace /description":
			key.Description = value
		case "replace /customerId":
			if value == "" {
				return badRequest("Customer Id cannot be an empty string")
			}
			key.CustomerID = value
		case "replace /enabled":
			key.Enabled = value == "true" // any other text disables
		default:
			return badPatch(op, path, "/description, /enabled, /name, /customerId")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	key.LastUpdated = r.now
	s.putKey(key, r.now)
	return key.json(false), nil
}

func (s *Server) deleteAPIKey(r *request) (any, error) {
	key, err := s.key(r.params["key"], r.now)
	if err != nil {
		return nil, err
	}
	delete(s.keyIDs, string(key.Value))
	s.keys.remove(key.ID, r.now)
	for _, pk := range s.planKeys.list(r.now) {
		if pk.key == key.ID {
			s.planKeys.remove(pk.id(), r.now)
		}
	}
	return nil, nil
}

func (s *Server) getTags(r *request) (any, error) {
	key, err := s.keyByARN(r, r.asOf)
	if err != nil {
		return nil, err
	}
	tags := maps.Clone(key.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	return map[string]any{"tags": tags}, nil
}

func (s *Server) tagAPIKey(r *request) (any, error) {
	in, err := decode[struct{ Tags map[string]string }](r.body)
	if err != nil {
		return nil, err
	}
	return nil, s.changeTags(r, func(tags map[string]string) { maps.Copy(tags, in.Tags) })
}

func (s *Server) untagAPIKey(r *request) (any, error) {
	return nil, s.changeTags(r, func(tags map[string]string) {
		for _, k := range r.http.URL.Query()["tagKeys"] {
			delete(tags, k)
		}
	})
}

func (s *Server) changeTags(r *request, change func(map[string]string)) error {
	key, err := s.keyByARN(r, r.now)
	if err != nil {
		return err
	}
	tags := make(map[string]string)
	maps.Copy(tags, key.Tags)
	change(tags)
	if err := checkTags(tags); err != nil {
		return err
	}
	key.Tags = tags
	s.putKey(key, r.now)
	return nil
}

func (s *Server) keyByARN(r *request, asOf time.Time) (Key, error) {
	id, ok := strings.CutPrefix(r.params["arn"], apiKeyARNPrefix)
	if !ok {
		return Key{}, notFound("awslocal tags API keys of " + Region + " only")
	}
	return s.key(id, asOf)
}

// patch applies the patch operations of a body in order, or returns the first's error.
func patch(body []byte, apply func(op, path, value string) error) error {
	in, err := decode[struct {
		PatchOperations []struct{ Op, Path, Value string }
	}](body)
	if err != nil {
		return err
	}
	for _, op := range in.PatchOperations {
		if err := apply(op.Op, op.Path, op.Value); err != nil {
			return err
		}
	}
	return nil
}

// badPatch returns the error for a patch operation. known are the paths that awslocal can
// replace; the two spaces are AWS's.
func badPatch(op, path, known string) *Error {
	return badRequest("Invalid patch path  '" + path + "' specified for op '" + op + "'. Must be one of: [" + known + "]")
}

var errBadPosition = badRequest("Invalid position specified") // text unconfirmed

// pageLimit returns a query's limit: 25 by default, at most 500. AWS's answer to other limits
// is unconfirmed.
func pageLimit(q url.Values) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return 25, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, badRequest("Invalid limit specified")
	}
	return min(n, 500), nil
}

// pageOf returns the page that the query asks for.
func pageOf[T any](t *table[T], r *request, keep func(T) bool) (items []T, position string, err error) {
	q := r.http.URL.Query()
	limit, err := pageLimit(q)
	if err != nil {
		return nil, "", err
	}
	start, ok := parsePageToken(q.Get("position"))
	if !ok {
		return nil, "", errBadPosition
	}
	items, next := t.page(r.asOf, start, limit, keep)
	return items, pageToken(next), nil
}

// list is the wire form of a page.
func list[T any](items []T, position string) any {
	return struct {
		Items    []T    `json:"item"`
		Position string `json:"position,omitempty"`
	}{items, position}
}
