# The client of the CRI: each line of its input is `METHOD JSON`, each of its output the answer, as
# {"ok": MESSAGE} or {"error": TEXT}. What the words mean is the business of whoever writes them.
#
#     cri.py ADDRESS
import json
import sys

import grpc
from cri_api.v1 import api_pb2, api_pb2_grpc
from google.protobuf import json_format

channel = grpc.insecure_channel(sys.argv[1])
services = [api_pb2_grpc.RuntimeServiceStub(channel), api_pb2_grpc.ImageServiceStub(channel)]
for line in sys.stdin:
    method, _, request = line.partition(" ")
    call = next(getattr(service, method) for service in services if hasattr(service, method))
    message = json_format.ParseDict(json.loads(request), getattr(api_pb2, method + "Request")())
    try:
        answer = {"ok": json_format.MessageToDict(call(message, timeout=300), preserving_proto_field_name=True)}
    except grpc.RpcError as error:
        answer = {"error": error.details()}
    print(json.dumps(answer), flush=True)
