package promise

// telling is how many characters of a value in a row tell of it.
const telling = 8

// Leaks reports whether a text holds eight characters in a row of any value that the
// account holds or ever held, on a key or in a secret, or of an extra one: of a
// request that was refused, say.
func Leaks(a Account, text []byte, extra ...string) bool {
	values := extra[:len(extra):len(extra)]
	for _, k := range a.KeysEver() {
		values = append(values, string(k.Value))
	}
	for _, states := range a.SecretsEver() {
		for _, s := range states {
			for _, v := range s.Versions {
				values = append(values, string(Decode(v).Value))
			}
		}
	}
	return holdsPart(text, values)
}

func holdsPart(text []byte, values []string) bool {
	parts := map[string]bool{}
	for _, v := range values {
		for i := 0; i+telling <= len(v); i++ {
			parts[v[i:i+telling]] = true
		}
	}
	for i := 0; i+telling <= len(text); i++ {
		if parts[string(text[i:i+telling])] {
			return true
		}
	}
	return false
}
