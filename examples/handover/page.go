package handover

import (
	"cmp"
	"context"
	"errors"
	"html/template"
	"net/http"
)

// Customer is what AWS Marketplace's ResolveCustomer makes of the token with
// which a buyer is sent to the registration page.
type Customer struct {
	ID           string // CustomerIdentifier; empty for products listed since June 2026
	AWSAccountID string // CustomerAWSAccountId
	ProductCode  string
}

// Page is the registration page, an http.Handler. It must be served over HTTPS only,
// and by nothing that logs what it answers.
type Page struct {
	Secrets secretsAPI // a *secretsmanager.Client
	Prefix  string     // the deployment's SecretPrefix
	// Resolve asks ResolveCustomer.
	Resolve func(ctx context.Context, token string) (Customer, error)
	// FirstTime reports whether a key's value has never been shown, and records that it now
	// is: one conditional write, such as DynamoDB's attribute_not_exists. It goes by the key's
	// id, because a customer who returns, or whose key is rotated, gets another key.
	FirstTime func(ctx context.Context, keyID string) (bool, error)
}

// ServeHTTP answers the POST with which AWS Marketplace sends a buyer
// (https://docs.aws.amazon.com/marketplace/latest/userguide/saas-product-customer-setup.html):
// 200, with the value unless it was shown before; 403 if the token is refused; 503
// while the key is being made; 502 if it cannot be read, or not recorded as shown.
func (p Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	customer, err := p.Resolve(r.Context(), r.PostFormValue("x-amzn-marketplace-token"))
	if err != nil {
		http.Error(w, "Please come from AWS Marketplace again: the link has expired.", http.StatusForbidden)
		return
	}
	value, err := p.value(r.Context(), customer)
	switch {
	case errors.Is(err, errNotReady), errors.Is(err, errEnded): // of a buyer who has just come back
		w.Header().Set("Retry-After", "30")
		http.Error(w, "Your key is being made. Please reload this page in a minute.", http.StatusServiceUnavailable)
		return
	case err != nil:
		http.Error(w, "Your key cannot be shown now. Please try again later.", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = shown.Execute(w, value) // the buyer may be gone
}

// value returns the value of a customer's key, or nothing if it was shown before. One
// customer has one key for a product, whichever way AWS tells of the subscription.
func (p Page) value(ctx context.Context, customer Customer) (string, error) {
	secret := SecretName(p.Prefix, cmp.Or(customer.ID, customer.AWSAccountID), customer.ProductCode)
	key, err := readKey(ctx, p.Secrets, secret)
	if err != nil {
		return "", err
	}
	// Noted before it is shown: the other way round two tabs would both show it.
	first, err := p.FirstTime(ctx, key.ID)
	if err != nil || !first {
		return "", err
	}
	return key.Value, nil
}

var shown = template.Must(template.New("").Parse(`<!doctype html>
<title>Your API key</title>
{{if .}}<p>Send this as the header x-api-key. It is shown once, and works within a minute: <code>{{.}}</code></p>
{{else}}<p>Your key was shown before. If you have lost it, ask us for a new one.</p>
{{end}}`))
