//! Who asks.

/// What rules know a service by.
#[derive(Clone, Debug, Default)]
pub(super) struct Service {
    pub(super) name: String,
    /// `AWS::..`, where it is known.
    pub(super) kind: Option<&'static str>,
    pub(super) arn: Option<String>,
}

/// X-Ray's type of a service that runs on this `cloud.platform`.
pub(super) fn kind(cloud_platform: &str) -> Option<&'static str> {
    Some(match cloud_platform {
        "aws_ec2" => "AWS::EC2::Instance",
        "aws_ecs" => "AWS::ECS::Container",
        "aws_eks" => "AWS::EKS::Container",
        "aws_elastic_beanstalk" => "AWS::ElasticBeanstalk::Environment",
        "aws_lambda" => "AWS::Lambda::Function",
        _ => return None,
    })
}
