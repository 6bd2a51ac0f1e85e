package lambdalocal

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// The maximum size of an event in bytes, by invocation type (Quotas, "Invocation payload").
const (
	maxEvent      = 6 << 20
	maxAsyncEvent = 1 << 20
)

// ServeHTTP is the Invoke operation of the Lambda API (Invoke), for the AWS CLI and the SDKs
// with this server as their endpoint:
//
//	POST /2015-03-31/functions/CreateKeyFunction/invocations
//
// The function may also be named by its ARN, full or partial, and qualified as $LATEST.
// X-Amz-Invocation-Type is RequestResponse (200, the default), Event (202; it runs once, when an
// environment is free) or DryRun (204). With X-Amz-Log-Type: Tail the answer has
// X-Amz-Log-Result. An empty body is the event {}. Signatures are not checked.
//
// Errors have Lambda's form and names: ResourceNotFoundException,
// InvalidRequestContentException, InvalidParameterValueException, RequestTooLargeException,
// TooManyRequestsException and, for faults of this machine, ServiceException.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	requestID := newRequestID()
	w.Header().Set("X-Amzn-RequestId", requestID)
	if err := f.serveInvoke(w, r, requestID); err != nil {
		err.write(w)
	}
}

func (f *Function) serveInvoke(w http.ResponseWriter, r *http.Request, requestID string) *apiError {
	path, isInvoke := strings.CutSuffix(r.URL.Path, "/invocations")
	target, isFunction := strings.CutPrefix(path, "/2015-03-31/functions/")
	if !isInvoke || !isFunction || r.Method != http.MethodPost {
		return &apiError{status: http.StatusNotFound, code: "UnknownOperationException",
			body: map[string]string{"Message": "only Invoke is served here"}}
	}
	if !f.isNamed(target, r.URL.Query().Get("Qualifier")) {
		return &apiError{status: http.StatusNotFound, code: "ResourceNotFoundException",
			body: map[string]string{"Type": "User", "Message": "Function not found: " + target}}
	}

	invocationType, limit := r.Header.Get("X-Amz-Invocation-Type"), maxEvent
	switch invocationType {
	case "", "RequestResponse":
	case "Event":
		limit = maxAsyncEvent
	case "DryRun":
		w.WriteHeader(http.StatusNoContent)
		return nil
	default:
		return userError(http.StatusBadRequest, "InvalidParameterValueException",
			"X-Amz-Invocation-Type must be RequestResponse, Event or DryRun")
	}

	event, err := readAtMost(r.Body, int64(limit))
	switch {
	case err != nil:
		return userError(http.StatusBadRequest, "InvalidRequestContentException", "Could not read the request body")
	case len(event) > limit:
		return userError(http.StatusRequestEntityTooLarge, "RequestTooLargeException",
			fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", limit))
	case len(event) == 0:
		event = []byte("{}")
	case !json.Valid(event):
		return userError(http.StatusBadRequest, "InvalidRequestContentException",
			"Could not parse request body into json")
	}

	if invocationType == "Event" {
		f.invokeAsync(requestID, event)
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	response, err := f.invoke(r.Context(), requestID, event)
	switch {
	case errors.Is(err, ErrTooManyRequests):
		e := userError(http.StatusTooManyRequests, "TooManyRequestsException", "Rate Exceeded.")
		e.body["Reason"] = "ReservedFunctionConcurrentInvocationLimitExceeded"
		return e
	case err != nil:
		return &apiError{status: http.StatusInternalServerError, code: "ServiceException",
			body: map[string]string{"Type": "Service", "Message": err.Error()}}
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Amz-Executed-Version", "$LATEST")
	if response.FunctionError != "" {
		h.Set("X-Amz-Function-Error", response.FunctionError)
	}
	if r.Header.Get("X-Amz-Log-Type") == "Tail" {
		h.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(response.Log))
	}
	_, _ = w.Write(response.Payload) // the caller may be gone
	return nil
}

// isNamed reports whether target, a function's name or ARN, and qualifier name this function.
func (f *Function) isNamed(target, qualifier string) bool {
	if _, after, ok := strings.Cut(target, "function:"); ok {
		target = after
	}
	name, suffix, _ := strings.Cut(target, ":")
	for _, q := range []string{qualifier, suffix} {
		if q != "" && q != "$LATEST" {
			return false
		}
	}
	return name == f.name()
}

// An apiError is an error of the Lambda API in its REST-JSON form.
type apiError struct {
	status int
	code   string
	body   map[string]string
}

func userError(status int, code, message string) *apiError {
	return &apiError{status: status, code: code, body: map[string]string{"Type": "User", "message": message}}
}

func (e *apiError) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-ErrorType", e.code)
	w.WriteHeader(e.status)
	_ = json.NewEncoder(w).Encode(e.body)
}
