from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=100)
    email = models.EmailField(unique=True)


class Post(models.Model):
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="posts")
    title = models.CharField(max_length=200)
    slug = models.SlugField(max_length=200, unique=True)
    body = models.TextField()
    published_at = models.DateTimeField(auto_now_add=True, db_index=True)


class Comment(models.Model):
    # The index is made by migration 0002.
    post = models.ForeignKey(
        Post, on_delete=models.CASCADE, related_name="comments", db_index=False
    )
    name = models.CharField(max_length=100)
    text = models.TextField(max_length=2000)
    shown = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["post"], name="comment_by_post")]
