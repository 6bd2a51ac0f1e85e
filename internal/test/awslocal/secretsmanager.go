package awslocal

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Secret is a secret with all its versions.
type Secret struct {
	Name        string
	ARN         string
	Description string
	KMSKeyID    string
	Tags        map[string]string
	Created     time.Time
	LastChanged time.Time
	// Deleted is when the deletion was requested, DeletionDate when the secret ceases to
	// exist. Both are zero unless it is scheduled for deletion.
	Deleted, DeletionDate time.Time
	Versions              []SecretVersion // oldest first
}

// A SecretVersion is one version of a secret: a string or, if that is empty, bytes.
type SecretVersion struct {
	ID      string // the ClientRequestToken that made it
	String  Sensitive
	Binary  Sensitive
	Created time.Time
	Stages  []string // staging labels
}

const (
	currentStage  = "AWSCURRENT"
	previousStage = "AWSPREVIOUS"

	maxSecretBytes = 65_536
	maxSecretName  = 512
)

var (
	secretName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]+$`)
	arnSuffix  = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)
)

const secretARNPrefix = "arn:aws:secretsmanager:" + Region + ":" + AccountID + ":secret:"

var secretsManager = service{
	name:        "secretsmanager",
	contentType: "application/x-amz-json-1.1",
	find:        byTarget("secretsmanager.", &secretOperations),
	describe: func(body []byte, c *Call) {
		var in struct {
			Name, SecretID string
			Tags           []any
		}
		_ = json.Unmarshal(body, &in) // the operation reports malformed input
		c.Resource = in.SecretID
		if c.Operation == "CreateSecret" {
			c.Resource = in.Name
		}
		c.Tagged = len(in.Tags) > 0
	},
	fault: func(e *Error) (int, any) {
		status := e.Status
		if status < 500 {
			status = http.StatusBadRequest
		}
		message := "Message"
		if e.Code == "ValidationException" {
			message = "message" // as AWS does: this one is the framework's, not the service's
		}
		return status, map[string]string{"__type": e.Code, message: e.Message}
	},
}

var secretOperations map[string]func(*Server, *request) (any, error)

func init() {
	secretOperations = map[string]func(*Server, *request) (any, error){
		"CreateSecret":             (*Server).createSecret,
		"GetSecretValue":           (*Server).getSecretValue,
		"PutSecretValue":           (*Server).putSecretValue,
		"DescribeSecret":           (*Server).describeSecret,
		"ListSecrets":              (*Server).listSecrets,
		"DeleteSecret":             (*Server).deleteSecret,
		"RestoreSecret":            (*Server).restoreSecret,
		"TagResource":              (*Server).tagSecret,
		"UntagResource":            (*Server).untagSecret,
		"UpdateSecretVersionStage": (*Server).updateSecretVersionStage,
	}
}

// Secrets returns the existing secrets, including those scheduled for deletion, in order of
// first creation.
func (s *Server) Secrets() []Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var secrets []Secret
	for _, secret := range s.secrets.list(now) {
		if !secret.gone(now) {
			secrets = append(secrets, secret.clone())
		}
	}
	return secrets
}

// SecretEver returns every state that a secret of that name ever had, oldest first, across
// deletions and re-creations.
func (s *Server) SecretEver(name string) []Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	var states []Secret
	for _, v := range s.secrets.rows[name] {
		states = append(states, v.value.clone())
	}
	return states
}

// SecretsEver returns every state of every secret that ever existed, oldest first, a list for
// each name.
func (s *Server) SecretsEver() [][]Secret {
	s.mu.Lock()
	names := slices.Clone(s.secrets.ids)
	s.mu.Unlock()
	var ever [][]Secret
	for _, name := range names {
		ever = append(ever, s.SecretEver(name))
	}
	return ever
}

// Current returns the version with the label AWSCURRENT, or the zero value.
func (x Secret) Current() SecretVersion {
	if i := x.labelled(currentStage); i >= 0 {
		return x.Versions[i]
	}
	return SecretVersion{}
}

func (x Secret) clone() Secret {
	x.Tags = maps.Clone(x.Tags)
	x.Versions = slices.Clone(x.Versions)
	for i := range x.Versions {
		x.Versions[i].Stages = slices.Clone(x.Versions[i].Stages)
	}
	return x
}

// gone reports whether the deletion has taken place. A secret deleted without a recovery window
// has the current time as its deletion date.
func (x Secret) gone(now time.Time) bool {
	return x.scheduled() && !now.Before(x.DeletionDate)
}

func (x Secret) scheduled() bool { return !x.DeletionDate.IsZero() }

func (x Secret) version(id string) int {
	return slices.IndexFunc(x.Versions, func(v SecretVersion) bool { return v.ID == id })
}

func (x Secret) labelled(stage string) int {
	return slices.IndexFunc(x.Versions, func(v SecretVersion) bool { return slices.Contains(v.Stages, stage) })
}

// label moves stage to version i. AWSCURRENT leaves AWSPREVIOUS behind.
func (x *Secret) label(i int, stage string) {
	from := x.labelled(stage)
	if from == i {
		return
	}
	x.unlabel(stage)
	x.Versions[i].Stages = append(x.Versions[i].Stages, stage)
	if stage == currentStage && from >= 0 {
		x.label(from, previousStage)
	}
}

func (x *Secret) unlabel(stage string) {
	for i := range x.Versions {
		x.Versions[i].Stages = slices.DeleteFunc(x.Versions[i].Stages, func(s string) bool { return s == stage })
	}
}

func (x Secret) stages() map[string][]string {
	labelled := make(map[string][]string)
	for _, v := range x.Versions {
		if len(v.Stages) > 0 {
			labelled[v.ID] = v.Stages
		}
	}
	return labelled
}

// findSecret finds a secret by name, ARN or partial ARN (without the suffix). A partial ARN
// that happens to end in a hyphen and six characters is taken for a full one, as AWS warns.
func (s *Server) findSecret(id string, asOf time.Time) (Secret, error) {
	name, isARN := strings.CutPrefix(id, secretARNPrefix)
	isWhole := isARN && arnSuffix.MatchString(name)
	if isWhole {
		name = arnSuffix.ReplaceAllString(name, "")
	}
	secret, ok := s.secrets.get(name, asOf)
	if !ok || secret.gone(asOf) || isWhole && secret.ARN != id {
		return Secret{}, resourceNotFound("Secrets Manager can't find the specified secret.")
	}
	return secret.clone(), nil
}

// liveSecret is findSecret for operations that a scheduled deletion forbids.
func (s *Server) liveSecret(id string, asOf time.Time) (Secret, error) {
	secret, err := s.findSecret(id, asOf)
	if err == nil && secret.scheduled() {
		err = invalidRequest("You can't perform this operation on the secret because it was marked for deletion.")
	}
	return secret, err
}

func resourceNotFound(message string) *Error {
	return &Error{http.StatusBadRequest, "ResourceNotFoundException", message}
}

func resourceExists(message string) *Error {
	return &Error{http.StatusBadRequest, "ResourceExistsException", message}
}

func invalidRequest(message string) *Error {
	return &Error{http.StatusBadRequest, "InvalidRequestException", message}
}

func invalidParameter(message string) *Error {
	return &Error{http.StatusBadRequest, "InvalidParameterException", message}
}

// validation returns a ValidationException, which the Go SDK does not model.
func validation(message string) *Error {
	return &Error{http.StatusBadRequest, "ValidationException", message}
}

func tokenInUse(token, arn string) *Error {
	return resourceExists(fmt.Sprintf("You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", token, arn))
}

// epoch is a time as JSON 1.1 sends it: epoch seconds with milliseconds.
func epoch(t time.Time) json.Number {
	return json.Number(strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64))
}

// content is the members of a request that make a version.
type content struct {
	ClientRequestToken string
	SecretString       *string
	SecretBinary       []byte
}

// text returns the SecretString, "" for none: an empty one is refused.
func (c content) text() string {
	if c.SecretString == nil {
		return ""
	}
	return *c.SecretString
}

func (c content) check() error {
	switch {
	case c.ClientRequestToken == "":
		return invalidRequest("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	case len(c.ClientRequestToken) < 32 || len(c.ClientRequestToken) > 64:
		return validation("1 validation error detected: Value at 'clientRequestToken' failed to satisfy constraint: Member must have length between 32 and 64")
	case c.SecretString != nil && *c.SecretString == "":
		return validation("1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case c.SecretString != nil && len(c.SecretBinary) > 0:
		return invalidParameter("You can't specify both a binary secret value and a string secret value in the same secret.")
	case len(c.text()) > maxSecretBytes:
		return validation("1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to 65536")
	case len(c.SecretBinary) > maxSecretBytes:
		return validation("1 validation error detected: Value at 'secretBinary' failed to satisfy constraint: Member must have length less than or equal to 65536")
	}
	return nil
}

func (c content) empty() bool { return c.text() == "" && len(c.SecretBinary) == 0 }

func (c content) equal(v SecretVersion) bool {
	return c.text() == string(v.String) && string(c.SecretBinary) == string(v.Binary)
}

func (c content) version(now time.Time) SecretVersion {
	return SecretVersion{
		ID:      c.ClientRequestToken,
		String:  Sensitive(c.text()),
		Binary:  Sensitive(c.SecretBinary),
		Created: now,
	}
}

type tagJSON struct{ Key, Value string }

func (s *Server) createSecret(r *request) (any, error) {
	in, err := decode[struct {
		content
		Name, Description, KmsKeyID string
		Tags                        []tagJSON
	}](r.body)
	if err != nil {
		return nil, err
	}
	switch {
	case len(in.Name) > maxSecretName:
		return nil, validation("1 validation error detected: Value at 'name' failed to satisfy constraint: Member must have length less than or equal to 512")
	case !secretName.MatchString(in.Name):
		return nil, validation("Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	type answer struct{ ARN, Name, VersionId string }
	if old, ok := s.secrets.get(in.Name, r.now); ok && !old.gone(r.now) {
		if old.scheduled() {
			return nil, invalidRequest("You can't create this secret because a secret with this name is already scheduled for deletion.")
		}
		switch i := old.version(in.ClientRequestToken); {
		case i < 0:
			return nil, resourceExists(fmt.Sprintf("The operation failed because the secret %s already exists.", in.Name))
		case !in.equal(old.Versions[i]):
			return nil, tokenInUse(in.ClientRequestToken, old.ARN)
		}
		return answer{old.ARN, old.Name, in.ClientRequestToken}, nil
	}
	secret := Secret{
		Name:        in.Name,
		ARN:         secretARNPrefix + in.Name + "-" + s.random(6, alphanumeric),
		Description: in.Description,
		KMSKeyID:    in.KmsKeyID,
		Created:     r.now,
		LastChanged: r.now,
	}
	secret.tag(in.Tags)
	out := answer{ARN: secret.ARN, Name: secret.Name}
	if !in.empty() {
		secret.Versions = []SecretVersion{in.version(r.now)}
		secret.label(0, currentStage)
		out.VersionId = in.ClientRequestToken
	}
	s.secrets.put(secret.Name, r.now, secret)
	return out, nil
}

func (s *Server) putSecretValue(r *request) (any, error) {
	in, err := decode[struct {
		content
		SecretID      string
		VersionStages []string
	}](r.body)
	if err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.empty() {
		return nil, invalidRequest("You must provide either SecretString or SecretBinary.")
	}
	secret, err := s.liveSecret(in.SecretID, r.now)
	if err != nil {
		return nil, err
	}
	i := secret.version(in.ClientRequestToken)
	stages := in.VersionStages
	switch {
	case i >= 0 && !in.equal(secret.Versions[i]):
		return nil, tokenInUse(in.ClientRequestToken, secret.ARN)
	case i < 0:
		i = len(secret.Versions)
		secret.Versions = append(secret.Versions, in.version(r.now))
		if i == 0 || len(stages) == 0 {
			stages = append([]string{currentStage}, stages...)
		}
	}
	// A repeat moves the labels that it names; without any, it does not move AWSCURRENT back
	// to its version.
	if len(stages) > 0 {
		for _, stage := range stages {
			secret.label(i, stage)
		}
		secret.LastChanged = r.now
		s.secrets.put(secret.Name, r.now, secret)
	}
	return struct {
		ARN, Name, VersionId string
		VersionStages        []string
	}{secret.ARN, secret.Name, in.ClientRequestToken, secret.Versions[i].Stages}, nil
}

func (s *Server) getSecretValue(r *request) (any, error) {
	in, err := decode[struct{ SecretID, VersionID, VersionStage string }](r.body)
	if err != nil {
		return nil, err
	}
	secret, err := s.liveSecret(in.SecretID, r.asOf)
	if err != nil {
		return nil, err
	}
	var i int
	switch {
	case in.VersionID != "":
		if i = secret.version(in.VersionID); i < 0 {
			return nil, resourceNotFound("Secrets Manager can't find the specified secret value for VersionId: " + in.VersionID)
		}
		if in.VersionStage != "" && !slices.Contains(secret.Versions[i].Stages, in.VersionStage) {
			return nil, invalidRequest("You provided a VersionStage that is not associated to the provided VersionId.")
		}
	default:
		stage := in.VersionStage
		if stage == "" {
			stage = currentStage
		}
		if i = secret.labelled(stage); i < 0 {
			return nil, resourceNotFound("Secrets Manager can't find the specified secret value for staging label: " + stage)
		}
	}
	v := secret.Versions[i]
	return struct {
		ARN, Name, VersionId string
		SecretString         string `json:",omitempty"`
		SecretBinary         []byte `json:",omitempty"`
		VersionStages        []string
		CreatedDate          json.Number
	}{secret.ARN, secret.Name, v.ID, string(v.String), []byte(v.Binary), v.Stages, epoch(v.Created)}, nil
}

// secretJSON is a secret's description on the wire. DescribeSecret and ListSecrets use
// different names for the labels.
type secretJSON struct {
	ARN, Name              string
	Description            string    `json:",omitempty"`
	KmsKeyId               string    `json:",omitempty"`
	Tags                   []tagJSON `json:",omitempty"`
	CreatedDate            json.Number
	LastChangedDate        json.Number
	DeletedDate            json.Number         `json:",omitempty"`
	VersionIdsToStages     map[string][]string `json:",omitempty"`
	SecretVersionsToStages map[string][]string `json:",omitempty"`
}

func (x Secret) json() secretJSON {
	out := secretJSON{
		ARN:             x.ARN,
		Name:            x.Name,
		Description:     x.Description,
		KmsKeyId:        x.KMSKeyID,
		CreatedDate:     epoch(x.Created),
		LastChangedDate: epoch(x.LastChanged),
	}
	for _, k := range slices.Sorted(maps.Keys(x.Tags)) {
		out.Tags = append(out.Tags, tagJSON{k, x.Tags[k]})
	}
	if x.scheduled() {
		out.DeletedDate = epoch(x.Deleted)
	}
	return out
}

func (s *Server) describeSecret(r *request) (any, error) {
	in, err := decode[struct{ SecretID string }](r.body)
	if err != nil {
		return nil, err
	}
	secret, err := s.findSecret(in.SecretID, r.asOf)
	if err != nil {
		return nil, err
	}
	out := secret.json()
	out.VersionIdsToStages = secret.stages()
	return out, nil
}

// listSecrets supports the filter "name": prefixes of names, any of which may match.
func (s *Server) listSecrets(r *request) (any, error) {
	in, err := decode[struct {
		Filters []struct {
			Key    string
			Values []string
		}
		IncludePlannedDeletion bool
		MaxResults             int
		NextToken              string
	}](r.body)
	if err != nil {
		return nil, err
	}
	for _, f := range in.Filters {
		if f.Key != "name" {
			return nil, validation("awslocal knows the filter \"name\" only")
		}
	}
	if in.MaxResults < 0 || in.MaxResults > 100 {
		return nil, validation("1 validation error detected: Value at 'maxResults' failed to satisfy constraint: Member must be between 1 and 100")
	}
	limit := in.MaxResults
	if limit == 0 {
		limit = 100
	}
	start, ok := parsePageToken(in.NextToken)
	if !ok {
		return nil, &Error{http.StatusBadRequest, "InvalidNextTokenException", "The NextToken value is invalid."}
	}
	secrets, next := s.secrets.page(r.asOf, start, limit, func(x Secret) bool {
		if x.gone(r.asOf) || x.scheduled() && !in.IncludePlannedDeletion {
			return false
		}
		for _, f := range in.Filters {
			if !slices.ContainsFunc(f.Values, func(v string) bool { return strings.HasPrefix(x.Name, v) }) {
				return false
			}
		}
		return true
	})
	out := struct {
		SecretList []secretJSON
		NextToken  string `json:",omitempty"`
	}{[]secretJSON{}, pageToken(next)}
	for _, x := range secrets {
		item := x.json()
		item.SecretVersionsToStages = x.stages()
		out.SecretList = append(out.SecretList, item)
	}
	return out, nil
}

func (s *Server) deleteSecret(r *request) (any, error) {
	in, err := decode[struct {
		SecretID                   string
		RecoveryWindowInDays       *int
		ForceDeleteWithoutRecovery bool
	}](r.body)
	if err != nil {
		return nil, err
	}
	window := 30
	if in.RecoveryWindowInDays != nil {
		window = *in.RecoveryWindowInDays
		if in.ForceDeleteWithoutRecovery {
			return nil, invalidParameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
		}
	}
	if window < 7 || window > 30 {
		return nil, invalidParameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	type answer struct {
		ARN, Name    string
		DeletionDate json.Number
	}
	secret, err := s.findSecret(in.SecretID, r.now)
	switch {
	case err != nil && in.ForceDeleteWithoutRecovery:
		// Forcing the deletion of what does not exist is no error.
		return answer{Name: in.SecretID, DeletionDate: epoch(r.now)}, nil
	case err != nil:
		return nil, err
	case secret.scheduled() && !in.ForceDeleteWithoutRecovery:
		return nil, invalidRequest("You can't perform this operation on the secret because it was already scheduled for deletion.")
	}
	secret.Deleted, secret.LastChanged = r.now, r.now
	secret.DeletionDate = r.now.AddDate(0, 0, window)
	if in.ForceDeleteWithoutRecovery {
		secret.DeletionDate = r.now.Add(s.NameRelease)
	}
	s.secrets.put(secret.Name, r.now, secret)
	return answer{secret.ARN, secret.Name, epoch(secret.DeletionDate)}, nil
}

func (s *Server) restoreSecret(r *request) (any, error) {
	return s.changeSecret(r, func(x *Secret) { x.Deleted, x.DeletionDate = time.Time{}, time.Time{} })
}

func (s *Server) tagSecret(r *request) (any, error) {
	in, err := decode[struct{ Tags []tagJSON }](r.body)
	if err != nil {
		return nil, err
	}
	_, err = s.changeSecret(r, func(x *Secret) { x.tag(in.Tags) })
	return nil, err
}

func (s *Server) untagSecret(r *request) (any, error) {
	in, err := decode[struct{ TagKeys []string }](r.body)
	if err != nil {
		return nil, err
	}
	_, err = s.changeSecret(r, func(x *Secret) {
		for _, k := range in.TagKeys {
			delete(x.Tags, k)
		}
	})
	return nil, err
}

func (x *Secret) tag(tags []tagJSON) {
	for _, t := range tags {
		if x.Tags == nil {
			x.Tags = make(map[string]string)
		}
		x.Tags[t.Key] = t.Value
	}
}

// changeSecret changes the secret that the request names, and answers its name and ARN.
func (s *Server) changeSecret(r *request, change func(*Secret)) (any, error) {
	in, err := decode[struct{ SecretID string }](r.body)
	if err != nil {
		return nil, err
	}
	secret, err := s.findSecret(in.SecretID, r.now)
	if err != nil {
		return nil, err
	}
	change(&secret)
	secret.LastChanged = r.now
	s.secrets.put(secret.Name, r.now, secret)
	return struct{ ARN, Name string }{secret.ARN, secret.Name}, nil
}

func (s *Server) updateSecretVersionStage(r *request) (any, error) {
	in, err := decode[struct {
		SecretID, VersionStage               string
		MoveToVersionID, RemoveFromVersionID string
	}](r.body)
	if err != nil {
		return nil, err
	}
	secret, err := s.liveSecret(in.SecretID, r.now)
	if err != nil {
		return nil, err
	}
	from := secret.labelled(in.VersionStage)
	switch {
	case from >= 0 && secret.Versions[from].ID != in.RemoveFromVersionID:
		return nil, invalidParameter(fmt.Sprintf("The parameter RemoveFromVersionId can't be empty. Staging label %s is currently attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.", in.VersionStage, secret.Versions[from].ID))
	case from < 0 && in.RemoveFromVersionID != "":
		return nil, invalidParameter("RemoveFromVersionId does not bear the staging label")
	case in.MoveToVersionID == "" && in.VersionStage == currentStage:
		return nil, invalidParameter("You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
	case in.MoveToVersionID == "":
		secret.unlabel(in.VersionStage)
	default:
		to := secret.version(in.MoveToVersionID)
		if to < 0 {
			return nil, resourceNotFound("Secrets Manager can't find the specified secret value for VersionId: " + in.MoveToVersionID)
		}
		secret.label(to, in.VersionStage)
	}
	secret.LastChanged = r.now
	s.secrets.put(secret.Name, r.now, secret)
	return struct{ ARN, Name string }{secret.ARN, secret.Name}, nil
}
