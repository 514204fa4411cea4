"""Makes the table in a local DynamoDB; in AWS, serverless.yml makes it.

AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:4567 python create_table.py
"""

import os

import boto3

boto3.client(
    "dynamodb",
    endpoint_url=os.environ["AWS_ENDPOINT_URL_DYNAMODB"],  # never by mistake in AWS
    region_name="us-east-1",
    aws_access_key_id="x",
    aws_secret_access_key="x",
).create_table(
    TableName=os.environ.get("CONTACT_TABLE", "contact-form"),
    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    BillingMode="PAY_PER_REQUEST",
)
