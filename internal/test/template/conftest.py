"""One MiniStack, with one stack that has everything switched on, for all tests of a run."""

import pytest

from application import STACK, Application
from stack import BUCKET, EVENT_BUS, OUTCOME_BUS, RESOURCE_TAGS, MiniStack


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    cloud = MiniStack(tmp_path_factory.mktemp("ministack"))
    cloud.start()
    try:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        for bus in (EVENT_BUS, OUTCOME_BUS):
            cloud.client("events").create_event_bus(Name=bus)
        cloud.build()
        yield cloud
    finally:
        cloud.stop()


@pytest.fixture(scope="session")
def app(cloud):
    plan = cloud.client("apigateway").create_usage_plan(name="Default")["id"]
    topic = cloud.client("sns").create_topic(Name="aws-mp-subscription-notification-4f54example")["TopicArn"]
    alarms = cloud.client("sns").create_topic(Name="on-call")["TopicArn"]
    cloud.deploy(STACK, UsagePlanId=plan, EventBusName=EVENT_BUS, OutcomeBusName=OUTCOME_BUS, MarketplaceTopicArn=topic,
                 MarketplaceEvents="true", AlarmTopicArn=alarms, CreateKeyRate="2.5", ResourceTags=RESOURCE_TAGS)
    app = Application(cloud, plan)
    app.topic = topic
    app.heard = listen(cloud)
    return app


def listen(cloud):
    """Returns the URL of a queue that receives every event of the outcome bus."""
    url = cloud.client("sqs").create_queue(QueueName="heard")["QueueUrl"]
    arn = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events = cloud.client("events")
    events.put_rule(Name="all", EventBusName=OUTCOME_BUS, EventPattern='{"source": [{"exists": true}]}')
    events.put_targets(Rule="all", EventBusName=OUTCOME_BUS, Targets=[{"Id": "heard", "Arn": arn}])
    return url
