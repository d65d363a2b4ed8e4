// Command go-client plays gRPC's own interoperability tests against a server, with the client that etcd's is made of.
//
//	go-client ADDRESS CASE…
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

const patience = 30 * time.Second

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fail("%v", err)
	}
	defer connection.Close()
	client := testpb.NewTestServiceClient(connection)
	unimplemented := testpb.NewUnimplementedServiceClient(connection)
	cases := map[string]func(context.Context){
		"empty_unary":                 func(ctx context.Context) { interop.DoEmptyUnaryCall(ctx, client) },
		"large_unary":                 func(ctx context.Context) { interop.DoLargeUnaryCall(ctx, client) },
		"client_streaming":            func(ctx context.Context) { interop.DoClientStreaming(ctx, client) },
		"server_streaming":            func(ctx context.Context) { interop.DoServerStreaming(ctx, client) },
		"ping_pong":                   func(ctx context.Context) { interop.DoPingPong(ctx, client) },
		"empty_stream":                func(ctx context.Context) { interop.DoEmptyStream(ctx, client) },
		"timeout_on_sleeping_server":  func(ctx context.Context) { interop.DoTimeoutOnSleepingServer(ctx, client) },
		"cancel_after_begin":          func(ctx context.Context) { interop.DoCancelAfterBegin(ctx, client) },
		"cancel_after_first_response": func(ctx context.Context) { interop.DoCancelAfterFirstResponse(ctx, client) },
		"status_code_and_message":     func(ctx context.Context) { interop.DoStatusCodeAndMessage(ctx, client) },
		"special_status_message":      func(ctx context.Context) { interop.DoSpecialStatusMessage(ctx, client) },
		"unimplemented_method":        func(ctx context.Context) { interop.DoUnimplementedMethod(ctx, connection) },
		"unimplemented_service":       func(ctx context.Context) { interop.DoUnimplementedService(ctx, unimplemented) },
	}
	for _, name := range os.Args[2:] {
		play, known := cases[name]
		if !known {
			fail("no case %s", name)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		// A case that fails ends the program with its reason.
		play(ctx)
		cancel()
		fmt.Println(name)
	}
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}
