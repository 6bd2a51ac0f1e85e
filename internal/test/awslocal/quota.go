package awslocal

import (
	"time"

	"golang.org/x/time/rate"
)

// Quotas are API Gateway's account quotas. A zero field is unlimited.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
type Quotas struct {
	CreateApiKeyPerSecond int // also the burst
	ControlPlanePerSecond int // every API Gateway operation, CreateApiKey included
	ControlPlaneBurst     int
	MaxKeys               int // keys that exist at once
}

// AWSQuotas are the quotas of a real account and Region. None can be raised.
var AWSQuotas = Quotas{
	CreateApiKeyPerSecond: 5,
	ControlPlanePerSecond: 10,
	ControlPlaneBurst:     40,
	MaxKeys:               10_000,
}

// admit takes an API Gateway call's tokens and returns true, or takes none and returns false.
func (s *Server) admit(operation string, now time.Time) bool {
	if q := s.Quotas.ControlPlanePerSecond; q > 0 && s.controlPlane == nil {
		s.controlPlane = rate.NewLimiter(rate.Limit(q), max(q, s.Quotas.ControlPlaneBurst))
	}
	if q := s.Quotas.CreateApiKeyPerSecond; q > 0 && s.createKeys == nil {
		s.createKeys = rate.NewLimiter(rate.Limit(q), q)
	}
	var buckets []*rate.Limiter
	if s.controlPlane != nil {
		buckets = append(buckets, s.controlPlane)
	}
	if s.createKeys != nil && operation == "CreateApiKey" {
		buckets = append(buckets, s.createKeys)
	}
	for _, b := range buckets {
		if b.TokensAt(now) < 1 {
			return false
		}
	}
	for _, b := range buckets {
		b.AllowN(now, 1)
	}
	return true
}
