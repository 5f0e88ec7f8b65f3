from django.db import transaction
from django.db.models import Count, Q
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods

from blog.forms import CommentForm
from blog.mistakes import HELD_TRANSACTION, N_PLUS_ONE
from blog.models import Author, Comment, Post
from blog.spam import is_spam


@require_GET
def healthz(request):
    return HttpResponse("ok")


class PostList(View):
    def get(self, request):
        posts = Post.objects.order_by("-published_at", "-id")
        if not N_PLUS_ONE:
            posts = posts.select_related("author")
        return JsonResponse(
            {
                "posts": [
                    {"id": post.pk, "title": post.title, "author": post.author.name}
                    for post in posts[:20]
                ]
            }
        )


@require_GET
def search(request):
    words = request.GET["q"]
    found = Post.objects.filter(Q(title__icontains=words) | Q(body__icontains=words))
    return JsonResponse({"posts": list(found.order_by("id").values("id", "title")[:20])})


@require_GET
def post_detail(request, pk):
    post = get_object_or_404(Post.objects.select_related("author"), pk=pk)
    comments = post.comments.order_by("id").values("name", "text")
    return JsonResponse(
        {
            "id": post.pk,
            "title": post.title,
            "body": post.body,
            "author": post.author.name,
            "comments": list(comments[:50]),
        }
    )


class AuthorView(View):
    def get(self, request, pk):
        author = get_object_or_404(Author.objects.annotate(written=Count("posts")), pk=pk)
        return JsonResponse({"name": author.name, "posts": author.written})


@csrf_exempt
@require_http_methods(["GET", "POST"])
def comments(request, pk):
    if request.method == "GET":
        shown = Comment.objects.filter(post_id=pk, shown=True).order_by("id")
        return JsonResponse({"comments": list(shown.values("name", "text")[:50])})
    post = get_object_or_404(Post, pk=pk)
    form = CommentForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=400)
    comment = form.save(commit=False)
    comment.post = post
    if HELD_TRANSACTION:
        with transaction.atomic():
            comment.save()
            comment.shown = not is_spam(comment.text)
            comment.save()
    else:
        comment.shown = not is_spam(comment.text)
        comment.save()
    return JsonResponse({"id": comment.pk, "shown": comment.shown}, status=201)
