package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/landfast/landfast"
)

// What a set of configuration may come to.
const (
	maxFiles = 10_000
	maxBytes = 64 << 20
)

// Files gives the objects below s3://BUCKET/PREFIX, by what is behind the prefix.
// They are those of one moment: one that changes while they are fetched is an error
// of kind Unavailable. Names that end in / are directories to some programs, and left out.
func (a *AWS) Files(ctx context.Context, location string) (map[string][]byte, error) {
	bucket, prefix, err := place(location)
	if err != nil {
		return nil, err
	}
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	files := map[string][]byte{}
	size := 0
	pages := s3.NewListObjectsV2Paginator(a.objects, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failed(location, err)
		}
		for _, o := range page.Contents {
			key := aws.ToString(o.Key)
			if strings.HasSuffix(key, "/") {
				continue
			}
			text, err := a.file(ctx, bucket, key, o.ETag)
			if err != nil {
				return nil, err
			}
			files[strings.TrimPrefix(key, prefix)] = text
			if size += len(text); size > maxBytes || len(files) > maxFiles {
				return nil, &landfast.Error{
					Kind: landfast.Invalid, Msg: fmt.Sprintf("%s has more than %d files or %d MiB", location, maxFiles, maxBytes>>20),
					Hint: "this is for configuration; put data into the release",
				}
			}
		}
	}
	return files, nil
}

// file gets one object, if it is the one that was listed.
func (a *AWS) file(ctx context.Context, bucket, key string, etag *string) ([]byte, error) {
	what := "s3://" + bucket + "/" + key
	o, err := a.objects.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key, IfMatch: etag})
	if refusal, ok := errors.AsType[smithy.APIError](err); ok && (refusal.ErrorCode() == "PreconditionFailed" || refusal.ErrorCode() == "NoSuchKey") {
		return nil, &landfast.Error{Kind: landfast.Unavailable, Msg: what + " was changed while the files were fetched", Hint: "try again"}
	}
	if err != nil {
		return nil, failed(what, err)
	}
	defer o.Body.Close()
	text, err := io.ReadAll(io.LimitReader(o.Body, maxBytes+1))
	if err != nil {
		return nil, failed(what, err)
	}
	return text, nil
}

// Object opens the object s3://BUCKET/KEY. Size is -1 when it is not known.
func (a *AWS) Object(ctx context.Context, location string) (body io.ReadCloser, size int64, err error) {
	bucket, key, err := place(location)
	if err != nil {
		return nil, 0, err
	}
	o, err := a.objects.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, 0, failed(location, err)
	}
	if o.ContentLength == nil {
		return o.Body, -1, nil
	}
	return o.Body, *o.ContentLength, nil
}

// place takes s3://BUCKET/KEY apart.
func place(location string) (bucket, key string, err error) {
	rest, ok := strings.CutPrefix(location, "s3://")
	bucket, key, _ = strings.Cut(rest, "/")
	if !ok || bucket == "" {
		return "", "", &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("%q is not a place in S3", location), Hint: "write s3://BUCKET/NAME"}
	}
	return bucket, key, nil
}
