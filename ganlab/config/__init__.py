"""What people may type, and what it means, answered from sources before anything heavy is imported."""
