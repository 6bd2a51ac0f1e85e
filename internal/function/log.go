package function

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"createkey/internal/failure"
)

// NewLogger returns a logger that writes JSON lines as Lambda reads them, with timestamp
// and level
// (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html).
//
// version, where it is not empty, becomes a member of every line.
func NewLogger(output io.Writer, version string) *slog.Logger {
	log := slog.New(slog.NewJSONHandler(output, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			switch {
			case a.Key == slog.TimeKey && len(groups) == 0:
				return slog.String("timestamp", a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
			case a.Key == slog.MessageKey && len(groups) == 0:
				return slog.Attr{} // the members say it all
			}
			return a
		},
	}))
	if version != "" {
		log = log.With("version", version)
	}
	return log
}

// report writes one log line for each message. Metric filters and saved queries rely on
// its members.
func (h *Handler) report(ctx context.Context, outcomes []outcome) {
	for _, o := range outcomes {
		level, reason, code := slog.LevelInfo, o.note, ""
		if o.err != nil {
			level, reason = slog.LevelWarn, o.err.Error()
		}
		if again, ok := errors.AsType[*failure.RetryableError](o.err); ok {
			code = again.Code
		}
		attrs := []slog.Attr{
			slog.String("messageId", o.messageID),
			slog.String("outcome", o.String()),
			slog.String("customerId", o.customerID),
			slog.String("keyId", o.result.Key.ID),
			slog.String("secretName", o.secretName),
			slog.Int64("durationMs", o.duration.Milliseconds()),
			slog.String("reason", reason),
		}
		if code != "" {
			attrs = append(attrs, slog.String("code", code))
		}
		if o.calls != nil {
			attrs = append(attrs, slog.Any("calls", o.calls))
		}
		h.log.LogAttrs(ctx, level, "", attrs...)
	}
}
