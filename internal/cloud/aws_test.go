package cloud_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/cloud"
)

// at is the configuration of the SDK for a server of the test.
func at(url string) aws.Config {
	return aws.Config{
		Region: "eu-central-1", BaseEndpoint: &url, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	}
}

// bucket serves S3 with the given objects.
func bucket(t *testing.T, objects map[string]string) (url string, client *s3.Client) {
	t.Helper()
	server := httptest.NewServer(gofakes3.New(s3mem.New()).Server())
	t.Cleanup(server.Close)
	client = s3.NewFromConfig(at(server.URL), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("shop-config")}); err != nil {
		t.Fatal(err)
	}
	for key, text := range objects {
		put(t, client, key, text)
	}
	return server.URL, client
}

func put(t *testing.T, client *s3.Client, key, text string) {
	t.Helper()
	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("shop-config"), Key: &key, Body: strings.NewReader(text)})
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, err error, kind landfast.Kind, texts ...string) {
	t.Helper()
	if landfast.KindOf(err) != kind {
		t.Fatalf("error %v of kind %s, want %s", err, landfast.KindOf(err), kind)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not say %q: %v", text, err)
		}
	}
}

func TestFilesOfS3(t *testing.T) {
	objects := map[string]string{
		"production/": "", "production/environment": "A=1\n", "production/deep/er.conf": "x", "production/empty": "",
		"production/with space & ü%20": "odd", "production2/other": "no", "top": "no",
	}
	url, _ := bucket(t, objects)
	c := cloud.New(at(url))
	for _, location := range []string{"s3://shop-config/production", "s3://shop-config/production/"} {
		files, err := c.Files(t.Context(), location)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for name, text := range files {
			got[name] = string(text)
		}
		want := map[string]string{"environment": "A=1\n", "deep/er.conf": "x", "empty": "", "with space & ü%20": "odd"}
		if !maps.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", location, got, want)
		}
	}
	files, err := c.Files(t.Context(), "s3://shop-config")
	if err != nil || len(files) != 6 {
		t.Errorf("the whole bucket: %v, %v", slices.Sorted(maps.Keys(files)), err)
	}
	files, err = c.Files(t.Context(), "s3://shop-config/nothing")
	if err != nil || len(files) != 0 {
		t.Errorf("nothing: %v, %v", files, err)
	}
	_, err = c.Files(t.Context(), "s3://another/production")
	refused(t, err, landfast.NotFound, "s3://another/production", "NoSuchBucket")
}

// More objects than one answer lists.
func TestManyFilesOfS3(t *testing.T) {
	objects := map[string]string{}
	for i := range 1005 {
		objects[fmt.Sprintf("p/%04d", i)] = "x"
	}
	url, _ := bucket(t, objects)
	files, err := cloud.New(at(url)).Files(t.Context(), "s3://shop-config/p")
	if err != nil || len(files) != len(objects) {
		t.Errorf("%d files, %v, want %d", len(files), err, len(objects))
	}
}

func TestObjectOfS3(t *testing.T) {
	url, _ := bucket(t, map[string]string{"releases/web 1.tar.gz": "an archive"})
	c := cloud.New(at(url))
	body, size, err := c.Object(t.Context(), "s3://shop-config/releases/web 1.tar.gz")
	if err != nil || size != 10 {
		t.Fatalf("size %d, %v", size, err)
	}
	defer body.Close()
	if text, err := io.ReadAll(body); err != nil || string(text) != "an archive" {
		t.Errorf("%q, %v", text, err)
	}
	_, _, err = c.Object(t.Context(), "s3://shop-config/releases/none")
	refused(t, err, landfast.NotFound, "NoSuchKey")
}

// A file that changes between the listing and the fetching must not be mixed with the others.
func TestFilesOfOneMoment(t *testing.T) {
	url, client := bucket(t, map[string]string{"p/a": "1", "p/b": "1"})
	changing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/p/b") {
			put(t, client, "p/b", "2")
			if r.Header.Get("If-Match") == "" {
				t.Error("whatever is there is asked for")
			}
			// What S3 answers then; the server of the test does not look at the header.
			w.WriteHeader(http.StatusPreconditionFailed)
			fmt.Fprint(w, `<Error><Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you specified did not hold</Message></Error>`)
			return
		}
		forward(t, w, r, url)
	}))
	defer changing.Close()
	_, err := cloud.New(at(changing.URL)).Files(t.Context(), "s3://shop-config/p")
	refused(t, err, landfast.Unavailable, "s3://shop-config/p/b was changed while")
}

func forward(t *testing.T, w http.ResponseWriter, r *http.Request, url string) {
	request, err := http.NewRequestWithContext(r.Context(), r.Method, url+r.URL.RequestURI(), nil)
	if err != nil {
		t.Error(err)
		return
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Error(err)
		return
	}
	defer answer.Body.Close()
	maps.Copy(w.Header(), answer.Header)
	w.WriteHeader(answer.StatusCode)
	if _, err := io.Copy(w, answer.Body); err != nil {
		t.Error(err)
	}
}

// manager is Systems Manager as its API is published: JSON 1.1, one target per
// operation, answers in pages.
type manager struct {
	t          *testing.T
	parameters map[string]string
	page       int
	fails      string // the code of an error that everything is answered with
}

func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Name, Path, NextToken     string
		WithDecryption, Recursive bool
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		m.t.Error(err)
	}
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		m.t.Errorf("the request is not signed, or of another kind: %v", r.Header)
	}
	if !in.WithDecryption {
		m.t.Error("the value is asked for as it is encrypted")
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	answer := func(status int, v any) {
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(v); err != nil {
			m.t.Error(err)
		}
	}
	type object = map[string]any
	switch target := r.Header.Get("X-Amz-Target"); {
	case m.fails != "":
		answer(400, object{"__type": m.fails, "message": "It is not to be."})
	case target == "AmazonSSM.GetParameter":
		v, ok := m.parameters[in.Name]
		if !ok {
			answer(400, object{"__type": "ParameterNotFound"})
			return
		}
		answer(200, object{"Parameter": object{"Name": in.Name, "Type": "SecureString", "Value": v, "Version": 1}})
	case target == "AmazonSSM.GetParametersByPath":
		if !in.Recursive {
			m.t.Error("not recursive")
		}
		var names []string
		for name := range m.parameters {
			if strings.HasPrefix(name, in.Path+"/") && name > in.NextToken {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		out := object{}
		if len(names) > m.page {
			names = names[:m.page]
			out["NextToken"] = names[len(names)-1]
		}
		list := []object{}
		for _, name := range names {
			list = append(list, object{"Name": name, "Type": "String", "Value": m.parameters[name]})
		}
		out["Parameters"] = list
		answer(200, out)
	default:
		m.t.Errorf("unknown operation %s", target)
	}
}

func TestParameters(t *testing.T) {
	m := &manager{t: t, page: 2, parameters: map[string]string{
		"/web/production/a": "1", "/web/production/b/c": "2", "/web/production/d": "3", "/web/production/e": "x\ny", "/web/staging/a": "no",
	}}
	server := httptest.NewServer(m)
	defer server.Close()
	c := cloud.New(at(server.URL))
	if v, err := c.Parameter(t.Context(), "/web/production/e"); err != nil || v != "x\ny" {
		t.Errorf("%q, %v", v, err)
	}
	_, err := c.Parameter(t.Context(), "/web/none")
	refused(t, err, landfast.NotFound, "the parameter /web/none", "ParameterNotFound")
	found, err := c.Parameters(t.Context(), "/web/production")
	want := map[string]string{"/web/production/a": "1", "/web/production/b/c": "2", "/web/production/d": "3", "/web/production/e": "x\ny"}
	if err != nil || !maps.Equal(found, want) {
		t.Errorf("%q, %v, want %q", found, err, want)
	}
	for code, kind := range map[string]landfast.Kind{
		"AccessDeniedException": landfast.Invalid, "ExpiredTokenException": landfast.Invalid, "UnrecognizedClientException": landfast.Invalid,
		"ThrottlingException": landfast.Unavailable, "InternalServerError": landfast.Unavailable,
	} {
		m.fails = code
		_, err := c.Parameters(t.Context(), "/web/production")
		refused(t, err, kind, code, "It is not to be")
	}
	server.Close()
	_, err = c.Parameter(t.Context(), "/web/production/a")
	refused(t, err, landfast.Unavailable, "the parameter /web/production/a")
}

// The SDK's own chain finds credentials, region and endpoint.
func TestOpen(t *testing.T) {
	url, _ := bucket(t, map[string]string{"p/a": "1"})
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_S3": url, "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	c, err := cloud.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if files, err := c.Files(t.Context(), "s3://shop-config/p"); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	t.Setenv("AWS_REGION", "")
	_, err = cloud.Open(t.Context())
	refused(t, err, landfast.Unavailable, "the region of AWS is not known", "/root/.aws/config")
}
